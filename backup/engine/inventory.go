package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/kopia/kopia/repo/blob"
)

// inventoryID is a blob of ours that lists all others. Without it, nobody would miss a blob with an index: Kopia takes what
// is listed there for never stored, snapshots included.
const inventoryID blob.ID = "mockup.inventory"

// inventory of a repository as it was left.
type inventory struct {
	// Pruning says that blobs were being removed when it was written: what is missing may have been one of those.
	Pruning bool              `json:"pruning,omitempty"`
	Blobs   map[blob.ID]int64 `json:"blobs"`
}

// ours tells blobs that this package keeps from Kopia's.
func ours(id blob.ID) bool { return strings.HasPrefix(string(id), "mockup.") }

// inventory is empty where there is none.
func (r *repository) inventory(ctx context.Context) (inventory, error) {
	var b buffer
	var out inventory
	if err := r.storage.GetBlob(ctx, inventoryID, 0, -1, &b); errors.Is(err, blob.ErrBlobNotFound) {
		return out, nil
	} else if err != nil {
		return out, fmt.Errorf("reading the inventory: %w", err)
	}
	if err := json.Unmarshal(b.Bytes(), &out); err != nil {
		return inventory{}, fmt.Errorf("%w: %w", errInventory, err)
	}
	return out, nil
}

// errInventory is that of an inventory which is not what was written.
var errInventory = errors.New("the inventory can't be read")

// missing compares the inventory with what is there.
func (i inventory) missing(there map[blob.ID]blob.Metadata) []Damage {
	var out []Damage
	for id, size := range i.Blobs {
		m, ok := there[id]
		switch {
		case !ok && !i.Pruning:
			out = append(out, Damage{Blob: string(id), Problem: "is missing"})
		case ok && m.Length != size:
			out = append(out, Damage{Blob: string(id), Problem: fmt.Sprintf("has %d bytes, where %d were stored", m.Length, size)})
		}
	}
	return out
}

// takeInventory lists what is there. What was missing before stays in it: it is missed until somebody mends the repository.
func (r *repository) takeInventory(ctx context.Context, pruning bool) error {
	old, err := r.inventory(ctx)
	if err != nil && !errors.Is(err, errInventory) { // that is mended by writing it anew; a verification has told of it
		return err
	}
	there, err := blob.ReadBlobMap(ctx, r.storage)
	if err != nil {
		return fmt.Errorf("listing the blobs: %w", err)
	}
	next := inventory{Pruning: pruning, Blobs: map[blob.ID]int64{}}
	for id, m := range there {
		if !mutable(id) {
			next.Blobs[id] = m.Length
		}
	}
	if !old.Pruning {
		for _, d := range old.missing(there) {
			next.Blobs[blob.ID(d.Blob)] = old.Blobs[blob.ID(d.Blob)]
		}
	}
	text, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	var b buffer
	b.Write(text)
	if err := r.storage.PutBlob(ctx, inventoryID, &b, blob.PutOptions{}); err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	return nil
}
