package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"syscall"
)

// Usage is what the files below a folder take of the disk in bytes, as du counts: each file once, whatever names it has. What
// goes meanwhile does not count.
func Usage(ctx context.Context, folder string) (int64, error) {
	total := int64(0)
	linked := map[[2]uint64]bool{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var info fs.FileInfo
		if err == nil {
			info, err = entry.Info()
		}
		if errors.Is(err, fs.ErrNotExist) && path != folder {
			return nil
		}
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		if key := [2]uint64{stat.Dev, stat.Ino}; stat.Nlink > 1 && !entry.IsDir() {
			if linked[key] {
				return nil
			}
			linked[key] = true
		}
		total += stat.Blocks * 512 // stat(2)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measuring the files below %s: %w", folder, err)
	}
	return total, nil
}

// serveUsage measures for an operator that may not read the files itself: those of a rootless Podman belong to users that
// exist in its user namespace only.
func serveUsage(w http.ResponseWriter, r *http.Request) {
	used, err := Usage(r.Context(), r.URL.Query().Get("path"))
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, used)
}

// Usage has the agent measure a folder.
func (c *Client) Usage(ctx context.Context, folder string) (int64, error) {
	var used int64
	err := c.started(ctx, func() error {
		return c.call(ctx, http.MethodGet, "/usage?path="+url.QueryEscape(folder), nil, &used)
	})
	return used, err
}
