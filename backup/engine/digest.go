package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/minio/highwayhash"
	"github.com/zeebo/blake3"
)

// Digests are of a kind, which stands before them; those of the oldest records, by SHA-256, have nothing before them. HighwayHash
// (256 bits) takes a third of the time of BLAKE3, which took a twentieth of that of a first backup. As in MinIO, it has to tell what
// went wrong by itself: the record is encrypted and sealed by the repository, so nobody else can make one that fits a forged file.
const (
	byHighway = "highwayhash256:"
	byBlake3  = "blake3:"
)

// highwayKey is the one of the reference implementation's tests. It is no secret, and must stay: records are made by it.
var highwayKey = func() []byte { //nolint:gochecknoglobals // a constant
	key := make([]byte, highwayhash.Size)
	for i := range key {
		key[i] = byte(i)
	}
	return key
}()

// digester makes a digest of a kind.
type digester struct {
	hash.Hash
	kind string
}

// newDigester is one that makes digests like another; the best one for none.
func newDigester(like string) digester {
	switch {
	case strings.HasPrefix(like, byBlake3):
		return digester{blake3.New(), byBlake3}
	case like != "" && !strings.HasPrefix(like, byHighway):
		return digester{sha256.New(), ""}
	}
	h, err := highwayhash.New(highwayKey)
	if err != nil { // the key has not as many bytes as it must
		panic(fmt.Sprintf("making a digest: %v", err))
	}
	return digester{h, byHighway}
}

func (d digester) digest() string { return d.kind + hex.EncodeToString(d.Sum(nil)) }

// digestFile reads a file anew, for a digest like another.
func digestFile(name, like string) (digest string, size int64, err error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	d := newDigester(like)
	size, err = io.Copy(d, f)
	return d.digest(), size, err
}
