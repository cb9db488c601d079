package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	cacheFile = ".mime-server-cache.json"
	// saveDelay gathers changes; what a crash loses of them is learnt again.
	saveDelay = 30 * time.Second
)

// facts follow from a file's content (and its name, for the type).
type facts struct {
	Type   string `json:"type"`
	SHA256 string `json:"sha256,omitempty"`
}

func (f facts) info(name string, stat fs.FileInfo) Info {
	return Info{Name: name, Size: stat.Size(), Type: f.Type, SHA256: f.SHA256, Modified: stat.ModTime().UTC()}
}

// identity tells one content of a name from the next. The change time catches
// tools that set the modification time back, as rsync and tar do.
type identity struct {
	Inode    uint64 `json:"inode"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // nanoseconds, as Changed
	Changed  int64  `json:"changed"`
}

func identify(stat fs.FileInfo) identity {
	id := identity{Size: stat.Size(), Modified: stat.ModTime().UnixNano()}
	if sys, ok := stat.Sys().(*syscall.Stat_t); ok {
		id.Inode = sys.Ino
		id.Changed = time.Unix(sys.Ctim.Unix()).UnixNano()
	}
	return id
}

type cacheEntry struct {
	identity
	facts
}

// cache remembers facts. Nothing in it is believed of a file that has changed.
type cache struct {
	root *os.Root
	log  *slog.Logger

	mu      sync.Mutex
	entries map[string]cacheEntry
	pending *time.Timer // the save to come, or nil
}

func newCache(root *os.Root, log *slog.Logger) *cache {
	return &cache{root: root, log: log, entries: map[string]cacheEntry{}}
}

func (c *cache) get(name string, stat fs.FileInfo) (facts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.entries[name]
	if !ok || entry.identity != identify(stat) {
		return facts{}, false
	}
	return entry.facts, true
}

func (c *cache) put(name string, stat fs.FileInfo, f facts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[name] = cacheEntry{identify(stat), f}
	c.saveLater()
}

func (c *cache) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, name)
	c.saveLater()
}

// retain forgets files that somebody else has deleted, once there are many. A
// file that is just now coming to be may go with them, and is learnt again.
func (c *cache) retain(files []Info) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) <= 2*len(files)+100 {
		return
	}
	kept := make(map[string]cacheEntry, len(files))
	for _, f := range files {
		if entry, ok := c.entries[f.Name]; ok {
			kept[f.Name] = entry
		}
	}
	c.entries = kept
	c.saveLater()
}

// saveLater is called with the lock held.
func (c *cache) saveLater() {
	if c.pending != nil {
		return
	}
	c.pending = time.AfterFunc(saveDelay, func() {
		if err := c.save(); err != nil {
			c.log.Warn("what is known about the files was not saved", "error", err.Error())
		}
	})
}

// save writes the cache, if it has changed. It is never worth an fsync.
func (c *cache) save() error {
	c.mu.Lock()
	if c.pending == nil {
		c.mu.Unlock()
		return nil
	}
	c.pending.Stop()
	c.pending = nil
	text, err := json.Marshal(c.entries)
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("encoding the cache: %w", err)
	}
	file, err := createTemp(c.root, ".")
	if err != nil {
		return fmt.Errorf("creating the cache: %w", err)
	}
	if _, err := file.Write(text); err != nil {
		return errors.Join(fmt.Errorf("writing the cache: %w", err), file.discard())
	}
	return errors.Join(c.root.Rename(file.name, cacheFile), file.discard())
}

// load reads the cache of the last run. One that cannot be read is no loss.
func (c *cache) load() {
	text, err := c.root.ReadFile(cacheFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	entries := map[string]cacheEntry{}
	if err == nil {
		err = json.Unmarshal(text, &entries)
	}
	if err != nil {
		c.log.Warn("types and digests will be computed again", "error", err.Error())
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries = entries
}
