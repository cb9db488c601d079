package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// full says that it is not the repository that has no room.
func full(err error) error {
	if noSpace(err) {
		return &Failure{Reason: ReasonNoSpace, Err: err}
	}
	return err
}

// claimed is a file in a folder that is being restored into, until all is well.
const claimed = ".mockup-restoring"

// claim a folder in which nothing is, or what a restore that did not end has left.
func claim(root string) error {
	names, err := readNames(root)
	if err != nil {
		return fmt.Errorf("looking into the folder to restore into: %w", err)
	}
	begun := slices.Contains(names, claimed)
	if names = slices.DeleteFunc(names, ignored); len(names) > 0 && !begun {
		return &Failure{Reason: ReasonNotEmpty, Err: fmt.Errorf("there is something in the folder to restore into, e.g. %s: it wants a new one", names[0])}
	}
	if err := os.WriteFile(filepath.Join(root, claimed), nil, 0o600); err != nil {
		return full(fmt.Errorf("claiming the folder to restore into: %w", err))
	}
	return nil
}

// release a folder that is what it should be: without the file, and with the time that removing it has changed.
func (re *restoration) release() error {
	if err := os.Remove(filepath.Join(re.root, claimed)); err != nil {
		return fmt.Errorf("releasing the folder: %w", err)
	}
	return re.finish()
}
