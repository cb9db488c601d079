package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/kopia/kopia/repo/blob"
	. "github.com/onsi/gomega"
)

// bucketServer is a server of buckets over HTTP, which misbehaves on request.
type bucketServer struct {
	*httptest.Server
	closing chan struct{}
	// mood is what it does to requests, but to the first so many that write.
	mood   atomic.Value
	spared atomic.Int64
}

// moodFrom makes it misbehave from the nth request on that writes; to refuse, from the nth of all.
func (s *bucketServer) moodFrom(mood string, nth int64) {
	s.spared.Store(nth)
	s.mood.Store(mood)
}

func newBucketServer(r *rig) (*bucketServer, Location) {
	r.t.Helper()
	backend := s3mem.New()
	r.Expect(backend.CreateBucket("backups")).To(Succeed())
	real := gofakes3.New(backend).Server()
	s := &bucketServer{closing: make(chan struct{})}
	s.mood.Store("")
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mood, writes := s.mood.Load().(string), q.Method == http.MethodPut || q.Method == http.MethodDelete
		if s.spared.Load() > 0 {
			if writes || mood == "refusing" {
				s.spared.Add(-1)
			}
			mood = ""
		}
		switch {
		case mood == "failing":
			w.WriteHeader(http.StatusServiceUnavailable)
		case mood == "down":
			panic(http.ErrAbortHandler) // the connection is closed
		case mood == "silent":
			select {
			case <-q.Context().Done():
			case <-s.closing:
			}
		case mood == "slow":
			time.Sleep(20 * time.Millisecond)
			real.ServeHTTP(&slowWriter{w}, q)
		case mood == "full" && q.Method == http.MethodPut:
			w.WriteHeader(http.StatusInsufficientStorage)
			_, _ = io.WriteString(w, `<Error><Code>XMinioStorageFull</Code><Message>Storage backend has reached its minimum free drive threshold.</Message></Error>`)
		case mood == "skewed":
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the server's time is too large.</Message></Error>`)
		case mood == "halving" && q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/p"):
			content, _ := io.ReadAll(q.Body)
			name := strings.TrimPrefix(q.URL.Path, "/backups/")
			half := content[:len(content)/2]
			_, _ = backend.PutObject("backups", name, nil, strings.NewReader(string(half)), int64(len(half)), nil)
			w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
		case mood == "denying", mood == "refusing":
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>`)
		case mood == "lying" && q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/p"):
			_, _ = io.Copy(io.Discard, q.Body) // says that it has it
			w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
		default:
			real.ServeHTTP(w, q)
		}
	}))
	r.t.Cleanup(func() {
		close(s.closing)
		s.Close()
	})
	keys := r.t.TempDir()
	for name, content := range map[string]string{"access": "AKIDEXAMPLE\n", "secret": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY\n"} {
		r.Expect(os.WriteFile(filepath.Join(keys, name), []byte(content), 0o600)).To(Succeed())
	}
	return s, Location{S3: &S3{
		Endpoint: s.URL, Bucket: "backups", Prefix: "mockup/", Region: "eu-south-1",
		AccessKeyFile: filepath.Join(keys, "access"), SecretKeyFile: filepath.Join(keys, "secret"),
	}}
}

// slowWriter answers in small pieces, each after a while.
type slowWriter struct{ http.ResponseWriter }

// Write implements http.ResponseWriter.
func (w *slowWriter) Write(b []byte) (n int, err error) {
	const piece = 64 << 10
	for len(b) > 0 && err == nil {
		time.Sleep(time.Millisecond)
		var m int
		m, err = w.ResponseWriter.Write(b[:min(len(b), piece)])
		n, b = n+m, b[m:]
	}
	return n, err
}

func TestBucketIsAnEqualCopy(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	server, bucket := newBucketServer(r)
	r.config.Copies = []Copy{{Name: "offsite", Location: bucket}}
	first := r.must("run", nil)
	r.Expect(first.Copies).To(HaveLen(1))
	r.Expect(first.Copies[0].Blobs).To(Equal(first.Repository.Blobs))
	r.Expect(first.Copies[0].Bytes).To(Equal(first.Repository.Bytes))
	r.write("new", "new")
	second := r.must("run", nil)
	r.Expect(second.Copies[0].AddedBytes).To(BeNumerically("<", 300_000), "what was there was sent again")
	want := snap(t, r.volume)
	r.same(snap(t, r.restored(func(c *Config) { c.From = "offsite" })), want)

	// What was lost on one side is there on the other; a blob that the copy lost comes back.
	r.must("verify", func(c *Config) { c.Verify.Mode, c.From = VerifyFull, "offsite" })
	r.Expect(os.RemoveAll(r.config.Repository.Path)).To(Succeed())
	r.same(snap(t, r.restored(func(c *Config) { c.From = "offsite" })), want)
	_ = server
}

func TestCopyOfAnotherRepositoryIsNotOverwritten(t *testing.T) {
	r, other := newRig(t), newRig(t)
	r.write("a", "mine")
	other.write("a", "theirs")
	_, bucket := newBucketServer(r)
	r.config.Copies = []Copy{{Name: "offsite", Location: bucket}}
	other.config.Copies = r.config.Copies
	r.must("run", nil)
	result, err := other.does("run", nil)
	r.Expect(ReasonOf(err)).To(Equal(ReasonCopy))
	r.Expect(result.Error).To(ContainSubstring("another repository"))
	r.same(snap(t, r.restored(func(c *Config) { c.From = "offsite" })), snap(t, r.volume))

	// So is one that is cut short at its first blob.
	to, err := bucket.storage(t.Context(), false)
	r.Expect(err).NotTo(HaveOccurred())
	for _, id := range idsIn(r, to) {
		if id != nameID {
			r.Expect(to.DeleteBlob(t.Context(), id)).To(Succeed())
		}
	}
	_, err = other.does("run", nil)
	r.Expect(err).To(MatchError(ContainSubstring("another repository")))
	r.Expect(idsIn(r, to)).To(Equal([]blob.ID{nameID}))
}

func TestBucketIsARepository(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	_, r.config.Repository = newBucketServer(r)
	r.must("run", nil)
	r.same(snap(t, r.restored(nil)), snap(t, r.volume))
	r.must("run", nil)
	r.must("verify", func(c *Config) { c.Verify.Mode = VerifyFull })
}

func TestBucketThatMisbehaves(t *testing.T) {
	r := newRig(t)
	r.write("a", strings.Repeat("content ", 5000))
	server, bucket := newBucketServer(r)
	r.config.Copies = []Copy{{Name: "offsite", Location: bucket}}
	for _, mood := range []string{"denying", "lying"} {
		server.mood.Store(mood)
		result, err := r.does("run", nil)
		r.Expect(ReasonOf(err)).To(Equal(ReasonCopy), mood)
		r.Expect(result.Copies[0].Error).NotTo(BeEmpty())
		r.Expect(result.Snapshots).NotTo(BeEmpty(), "%s: the repository itself is well", mood)
		r.Expect(asJSON(result)).NotTo(Or(ContainSubstring("wJalr"), ContainSubstring("AKID")))
	}
	server.mood.Store("")
	r.must("run", nil)
	r.must("verify", func(c *Config) { c.Verify.Mode, c.From = VerifyFull, "offsite" })

	wrong := *bucket.S3
	wrong.Bucket = "no-such-bucket"
	result, err := r.does("run", func(c *Config) { c.Repository, c.Copies = Location{S3: &wrong}, nil })
	r.Expect(ReasonOf(err)).To(Equal(ReasonUnavailable), result.Error)
	server.Close()
	result, err = r.does("list", func(c *Config) { c.From = "offsite" })
	r.Expect(ReasonOf(err)).To(Equal(ReasonUnavailable), result.Error)
}

// What is in a bucket and no copy of the repository is left as it is, beside a copy as well.
func TestCopyLeavesWhatIsNotItsOwn(t *testing.T) {
	r := newRig(t)
	r.write("a", "a")
	_, bucket := newBucketServer(r)
	r.config.Copies = []Copy{{Name: "offsite", Location: bucket}}
	to, err := bucket.storage(t.Context(), false)
	r.Expect(err).NotTo(HaveOccurred())
	foreign := []blob.ID{"photo.jpg", "s", "passwords.kdbx", "q3-figures.xlsx"}
	put := func() {
		for _, id := range foreign {
			var b buffer
			b.WriteString("precious")
			r.Expect(to.PutBlob(t.Context(), id, &b, blob.PutOptions{})).To(Succeed())
		}
	}
	put()
	result, err := r.does("run", nil)
	r.Expect(ReasonOf(err)).To(Equal(ReasonCopy))
	r.Expect(result.Error).To(And(ContainSubstring("4 objects"), ContainSubstring("passwords.kdbx")))
	r.Expect(idsIn(r, to)).To(ConsistOf(foreign))

	for _, id := range foreign {
		r.Expect(to.DeleteBlob(t.Context(), id)).To(Succeed())
	}
	r.must("run", nil)
	put()
	have := len(idsIn(r, to))
	r.write("a", "b")
	r.config.Retention.KeepLatest = 1
	r.must("run", nil)
	r.Expect(idsIn(r, to)).To(ContainElements(foreign))
	r.Expect(len(idsIn(r, to))).To(BeNumerically(">", have))

	// One that was cut short at its first blob is known for what it is.
	for _, id := range idsIn(r, to) {
		if id != nameID {
			r.Expect(to.DeleteBlob(t.Context(), id)).To(Succeed())
		}
	}
	r.must("run", nil)
	r.same(snap(t, r.restored(func(c *Config) { c.From = "offsite" })), snap(t, r.volume))
}

func idsIn(r *rig, st blob.Storage) []blob.ID {
	all, err := blob.ReadBlobMap(r.t.Context(), st)
	r.Expect(err).NotTo(HaveOccurred())
	return slices.Collect(maps.Keys(all))
}

// The names of all blobs of a repository are known, those of maintenance as well: a copy must not keep what the repository lost.
func TestNamesOfBlobsAreKnown(t *testing.T) {
	r := newRig(t).ticking()
	for range 3 {
		r.write("a", strings.Repeat(r.clock.String(), 100))
		r.must("run", func(c *Config) { c.Retention.KeepLatest = 1 })
		r.clock = r.clock.Add(time.Hour)
		r.must("prune", func(c *Config) { c.Retention.KeepLatest = 1 })
	}
	st, err := r.config.Repository.storage(t.Context(), false)
	r.Expect(err).NotTo(HaveOccurred())
	ids := idsIn(r, st)
	r.Expect(len(ids)).To(BeNumerically(">", 10))
	for _, id := range ids {
		r.Expect(string(id)).To(MatchRegexp(blobName.String()))
	}
}

// The authority of a server of one's own is trusted beside the usual ones, and nobody else is.
func TestBucketOverTLS(t *testing.T) {
	r := newRig(t)
	r.write("a", "a")
	plain, bucket := newBucketServer(r)
	server := httptest.NewTLSServer(plain.Config.Handler)
	t.Cleanup(server.Close)
	own, other := filepath.Join(t.TempDir(), "own.pem"), filepath.Join(t.TempDir(), "other.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	r.Expect(os.WriteFile(own, certificate, 0o600)).To(Succeed())
	r.Expect(os.WriteFile(other, selfSigned(r), 0o600)).To(Succeed())
	usual := caFiles
	t.Cleanup(func() { caFiles = usual })

	place := *bucket.S3
	place.Endpoint = server.URL
	r.config.Repository = Location{S3: &place}
	caFiles = nil
	place.CAFile = other
	_, err := r.does("run", nil)
	r.Expect(ReasonOf(err)).To(Equal(ReasonUnavailable), "%v", err)
	r.Expect(err).To(MatchError(ContainSubstring("certificate")))
	place.CAFile = own
	r.must("run", nil)
	caFiles, place.CAFile = []string{own}, other
	r.must("run", nil)
}

// selfSigned is the certificate of an authority that nobody has anything from.
func selfSigned(r *rig) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.Expect(err).NotTo(HaveOccurred())
	about := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	r.Expect(err).NotTo(HaveOccurred())
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}
