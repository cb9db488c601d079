package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// arrivals tells of files that come into folders. It asks the kernel itself: github.com/fsnotify/fsnotify hears of every
// write as well, and a container's log is written to thousands of times a second.
type arrivals struct {
	file *os.File
	// fd is the file's: its method of that name would have reads block a thread.
	fd int

	mu sync.Mutex
	// folders by their watch, and watches by their folder.
	folders map[int32]string
	watches map[string]int32
}

func newArrivals() (*arrivals, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching folders of logs: %w", err)
	}
	return &arrivals{fd: fd, file: os.NewFile(uintptr(fd), "inotify"), folders: map[int32]string{}, watches: map[string]int32{}}, nil
}

// add a folder, which may be among them already.
func (a *arrivals) add(folder string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, watched := a.watches[folder]; watched {
		return nil
	}
	watch, err := unix.InotifyAddWatch(a.fd, folder, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
	if err != nil {
		return fmt.Errorf("watching the folder %s: %w", folder, err)
	}
	a.folders[int32(watch)], a.watches[folder] = folder, int32(watch)
	return nil
}

// remove a folder, which may be gone.
func (a *arrivals) remove(folder string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if watch, watched := a.watches[folder]; watched {
		_, _ = unix.InotifyRmWatch(a.fd, uint32(watch)) // the kernel has removed it with its folder
		a.drop(watch)
	}
}

// drop what was known of a watch. The mutex is held.
func (a *arrivals) drop(watch int32) string {
	folder := a.folders[watch]
	delete(a.folders, watch)
	delete(a.watches, folder)
	return folder
}

// eventsBuffer holds some hundred events, in bytes.
const eventsBuffer = 16 << 10

// read calls came for every file until ctx ends, and missed when the kernel had to leave some out.
func (a *arrivals) read(ctx context.Context, came func(folder, name string), missed func()) error {
	defer context.AfterFunc(ctx, func() { _ = a.file.Close() })()
	buffer := make([]byte, eventsBuffer)
	for {
		n, err := a.file.Read(buffer)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
				return nil
			}
			return fmt.Errorf("reading what came into folders of logs: %w", err)
		}
		for rest := buffer[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			watch, mask := int32(binary.NativeEndian.Uint32(rest)), binary.NativeEndian.Uint32(rest[4:])
			end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(rest[12:]))
			name := strings.TrimRight(string(rest[unix.SizeofInotifyEvent:end]), "\x00")
			rest = rest[end:]
			switch folder := a.heed(watch, mask); {
			case mask&unix.IN_Q_OVERFLOW != 0:
				missed()
			case folder != "" && name != "":
				came(folder, name)
			}
		}
	}
}

// heed finds the folder of an event; one that is gone is no longer watched.
func (a *arrivals) heed(watch int32, mask uint32) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if mask&unix.IN_IGNORED != 0 {
		return a.drop(watch)
	}
	return a.folders[watch]
}
