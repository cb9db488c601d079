package node

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netNS tells network namespaces apart.
type netNS struct{ device, inode uint64 }

func identify(handle netns.NsHandle) (netNS, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(handle), &stat); err != nil {
		return netNS{}, err
	}
	return netNS{stat.Dev, stat.Ino}, nil
}

// ownNetNS is the namespace of the node, as far as this process is concerned.
func ownNetNS() (netNS, error) {
	// Of this thread, not of the process: the first of its threads may be the one that did not come back.
	handle, err := netns.GetFromPath("/proc/thread-self/ns/net")
	if err != nil {
		return netNS{}, fmt.Errorf("looking at the node's network namespace: %w", err)
	}
	defer handle.Close()
	return identify(handle)
}

// inside calls do in another network namespace. Sockets that it opens stay there.
func inside(handle netns.NsHandle, do func() error) error {
	done := make(chan error)
	go func() {
		// A thread that can't come back is never unlocked, so that it ends with its goroutine and misleads nobody.
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			done <- fmt.Errorf("looking at the node's network namespace: %w", err)
			return
		}
		defer home.Close()
		if err := netns.Set(handle); err != nil {
			done <- fmt.Errorf("entering the network namespace: %w", err)
			return
		}
		err = do()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}
