package controlplane

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

const (
	// etcdStartTimeout covers the replay of a long write-ahead log on a slow disk.
	etcdStartTimeout = 30 * time.Second
	// etcdQuota is the size at which etcd stops taking writes; a laptop's objects are a few megabytes.
	etcdQuota = 512 << 20
	// etcdDefragThreshold is how many megabytes of the database file may be empty before a start makes it smaller.
	etcdDefragThreshold = 32
	// etcdSnapshotCount is how many writes are kept in memory and replayed after a crash: a laptop's worth, not the
	// 10,000 of a cluster.
	etcdSnapshotCount = 1000
	// etcdSegmentSize is the size of the two write-ahead log files that are allocated in advance, instead of 64 MB each.
	etcdSegmentSize = 8 << 20
)

// shrinkSegments changes a variable of etcd's, so once is all.
var shrinkSegments = sync.OnceFunc(func() { wal.SegmentSizeBytes = etcdSegmentSize })

// startEtcd starts the etcd of f and waits until it is ready, at most etcdStartTimeout.
func startEtcd(ctx context.Context, f folder) (*embed.Etcd, error) {
	shrinkSegments()
	started, failed := make(chan *embed.Etcd, 1), make(chan error, 1)
	go func() { // StartEtcd waits without end for a database file that some other program holds
		e, err := embed.StartEtcd(etcdConfig(f))
		if err != nil {
			failed <- err
			return
		}
		select {
		case <-e.Server.ReadyNotify():
			started <- e
		case err := <-e.Err():
			e.Close()
			failed <- err
		}
	}()
	var err error
	select {
	case e := <-started:
		return e, nil
	case err = <-failed:
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(etcdStartTimeout):
		err = fmt.Errorf("not ready after %s", etcdStartTimeout)
	}
	go func() { (<-started).Close() }() // should it start after all
	return nil, fmt.Errorf("starting etcd in %s: %w", f.etcdData(), err)
}

// etcdConfig makes a single-member etcd that listens on unix sockets in f only: the folder's mode guards it, and no TCP
// port is open. A socket file left by a killed process is replaced.
func etcdConfig(f folder) *embed.Config {
	c := embed.NewConfig()
	c.Name = "mockup"
	c.Dir = f.etcdData()
	c.LogLevel = "fatal" // what fails is reported by the API server that asked; etcd calls every stop an error
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: f.clientSocket()}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	// As Host, not Path: of a peer URL etcd reads nothing else, and would listen where every user can connect.
	c.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: f.peerSocket()}}
	c.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "localhost:0"}} // must be an address; nobody ever calls it
	c.InitialCluster = c.Name + "=http://localhost:0"
	c.QuotaBackendBytes = etcdQuota
	c.SnapshotCount = etcdSnapshotCount
	c.SnapshotCatchUpEntries = etcdSnapshotCount / 10 // for followers, of which there are none
	c.MaxSnapFiles, c.MaxWalFiles = 2, 2
	c.BootstrapDefragThresholdMegabytes = etcdDefragThreshold
	c.EnableGRPCGateway = false
	// A lone member elects itself after one to two election timeouts, so a short one starts faster.
	c.TickMs, c.ElectionMs = 100, 500
	// How often the database file follows the log. The log alone makes a write durable.
	c.BackendBatchInterval = time.Second
	// Keeps idle watches of the API server ahead of compaction, which would end them.
	c.WatchProgressNotifyInterval = time.Minute
	return c
}
