package engine

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkBackup makes backups of noise and text: all of it, nothing new, and some changes. Its profile is what the compiler is
// told of where the time goes (default.pgo beside main.go; "make profile" takes it anew).
func BenchmarkBackup(b *testing.B) {
	volume, password := b.TempDir(), filepath.Join(b.TempDir(), "password")
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	must(os.WriteFile(password, []byte("correct horse"), 0o600))
	random := rand.New(rand.NewPCG(7, 7))
	write := func(i int) {
		content := []byte(strings.Repeat("the same words again and again ", 2600))
		if i%2 == 0 {
			for n := range content {
				content[n] = byte(random.Uint32())
			}
		}
		name := filepath.Join(volume, fmt.Sprint(i%50), fmt.Sprint(i))
		must(os.MkdirAll(filepath.Dir(name), 0o755))
		must(os.WriteFile(name, append(content, fmt.Sprint(random.Uint64())...), 0o644))
	}
	for i := range 3000 {
		write(i)
	}
	for b.Loop() {
		c := &Config{Source: "bench", Repository: Location{Path: b.TempDir()}, PasswordFile: password, Volumes: []Volume{{Name: "volume", Path: volume}}}
		for range 3 {
			_, err := Run(b.Context(), "run", c, io.Discard)
			must(err)
			for i := 0; i < 3000; i += 100 {
				write(i)
			}
		}
	}
}
