package main

import (
	"context"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mockup.dev/mockup/workloads/mime-server/internal/store"
)

// usage counts what is stored at the time of each scrape.
type usage struct {
	files *store.Store
	dir   string

	count, bytes, free *prometheus.Desc
}

func newUsage(files *store.Store, dir string) *usage {
	describe := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	return &usage{files: files, dir: dir,
		count: describe("mime_server_files", "Files stored."),
		bytes: describe("mime_server_files_bytes", "Bytes of the files stored."),
		free:  describe("mime_server_free_bytes", "Bytes left on the file system of the data folder."),
	}
}

// Describe implements prometheus.Collector.
func (u *usage) Describe(descs chan<- *prometheus.Desc) {
	descs <- u.count
	descs <- u.bytes
	descs <- u.free
}

// Collect implements prometheus.Collector. What cannot be found out is left out.
func (u *usage) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(desc *prometheus.Desc, value float64) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	if count, bytes, err := u.files.Usage(ctx); err == nil {
		gauge(u.count, float64(count))
		gauge(u.bytes, float64(bytes))
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(u.dir, &disk); err == nil {
		gauge(u.free, float64(disk.Bavail)*float64(disk.Bsize))
	}
}
