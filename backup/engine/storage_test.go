package engine

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/kopia/kopia/repo/blob"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// Nobody waits for the disk until the end, when there is little left to wait for.
func TestBlobsAreWrittenDownAsTheyAreStored(t *testing.T) {
	g := NewWithT(t)
	ctx := t.Context()
	st, err := Location{Path: t.TempDir()}.storage(ctx, true)
	g.Expect(err).NotTo(HaveOccurred())
	w := st.(*written)
	g.Expect(w.PutBlob(ctx, "p1", &buffer{*bytes.NewBuffer(make([]byte, 8<<20))}, blob.PutOptions{})).To(Succeed())
	_, name, err := w.GetShardedPathAndFilePath(ctx, "p1")
	g.Expect(err).NotTo(HaveOccurred())
	file, err := os.Open(name)
	g.Expect(err).NotTo(HaveOccurred())
	defer file.Close()
	var pages unix.Cachestat_t
	if err := unix.Cachestat(uint(file.Fd()), &unix.CachestatRange{}, &pages, 0); errors.Is(err, unix.ENOSYS) {
		t.Skip("the kernel is older than 6.5 and does not tell what is not on disk")
	}
	g.Eventually(func() (uint64, error) {
		err := unix.Cachestat(uint(file.Fd()), &unix.CachestatRange{}, &pages, 0)
		return pages.Dirty, err
	}, 3*time.Second).Should(BeZero(), "by itself, the kernel waits for 30 s")
	g.Expect(synced(w)).To(Succeed())
	g.Expect(w.Close(ctx)).To(Succeed())
	g.Expect(synced(w)).To(MatchError(unix.EBADF), "what is not on disk must be told")
}
