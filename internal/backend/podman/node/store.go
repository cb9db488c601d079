package node

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// store keeps what each owner was last told in a file of its own, so that an agent that was killed knows it at once when
// it is started again. It need not survive the host: the pods don't either.
type store struct {
	dir string
	// written are the files' contents, to leave alone what has not changed.
	written map[string][]byte
}

func openStore(dir string) (*store, error) {
	s := &store{dir: filepath.Join(dir, "owners"), written: map[string][]byte{}}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of what owners told: %w", err)
	}
	return s, nil
}

// path of an owner's file; a name may be longer than a file name.
func (s *store) path(owner string) string {
	sum := sha256.Sum256([]byte(owner))
	return filepath.Join(s.dir, hex.EncodeToString(sum[:16])+".json")
}

// load reads all files. One that can't be read is left out, and its owner will speak again.
func (s *store) load() (map[string]told, error) {
	owners := map[string]told{}
	paths, err := filepath.Glob(filepath.Join(s.dir, "*.json"))
	if err != nil {
		return owners, err
	}
	var problems []error
	for _, path := range paths {
		var t told
		content, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(content, &t)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("reading %s: %w", path, err))
			continue
		}
		owners[t.State.Owner] = t
		s.written[t.State.Owner] = content
	}
	return owners, errors.Join(problems...)
}

// save writes in one step: whoever reads sees what was there before, or all of what is new.
func (s *store) save(t told) error {
	content, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding what an owner told: %w", err)
	}
	if bytes.Equal(content, s.written[t.State.Owner]) {
		return nil
	}
	path := s.path(t.State.Owner)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("keeping what an owner told: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keeping what an owner told: %w", err)
	}
	s.written[t.State.Owner] = content
	return nil
}

func (s *store) remove(owner string) error {
	delete(s.written, owner)
	if err := os.Remove(s.path(owner)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting what an owner told: %w", err)
	}
	return nil
}
