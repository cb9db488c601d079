package node

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"os"

	"mockup.dev/mockup/internal/version"
)

// Build tells this executable from others: the version, and a digest of what the linker wrote into it. Copies of one file
// are the same build, whatever their names and times.
func Build() (string, error) {
	const self = "/proc/self/exe" // the file that runs, even when another has taken its name
	sum := sha256.New()
	if id := buildID(self); id != nil {
		sum.Write(id)
	} else {
		info, err := os.Stat(self)
		if err != nil {
			return "", fmt.Errorf("looking at the program file: %w", err)
		}
		fmt.Fprintln(sum, info.Size(), info.ModTime().UnixNano())
	}
	return version.Version + "+" + hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// buildID is the note that Go's linker leaves; nil if there is none.
func buildID(path string) []byte {
	file, err := elf.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	section := file.Section(".note.go.buildid")
	if section == nil {
		return nil
	}
	id, err := section.Data()
	if err != nil {
		return nil
	}
	return id
}
