package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kopia/kopia/repo/blob"
	. "github.com/onsi/gomega"
)

// The kernel tells once that something could not be written down: to whoever asks first, which may be in the middle of a run.
func TestWhatIsNotOnDiskIsToldAtTheEnd(t *testing.T) {
	g := NewWithT(t)
	ctx, dir := t.Context(), t.TempDir()
	st, err := Location{Path: dir}.storage(ctx, true)
	g.Expect(err).NotTo(HaveOccurred())
	w := st.(*written)
	w.at.Path = filepath.Join(dir, "gone")
	big := &buffer{*bytes.NewBuffer(make([]byte, syncAfter))}
	g.Expect(w.PutBlob(ctx, "p1", big, blob.PutOptions{})).To(Succeed())
	g.Eventually(func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.failed
	}, 10*time.Second).Should(MatchError(os.ErrNotExist))
	w.at.Path = dir
	g.Expect(synced(w)).To(MatchError(os.ErrNotExist))
}
