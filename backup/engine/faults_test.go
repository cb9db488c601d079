package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// heals runs a backup that goes wrong, and tells whether the reason is the one wanted, nothing is lost, and all is well again
// as soon as what was wrong is, without a hand.
func (r *rig) heals(what, reason string, wrong, right func()) {
	r.t.Helper()
	before, old := snap(r.t, r.volume), r.must("list", nil).Snapshots
	r.write("new", what+strings.Repeat(" is new", 1000))
	wrong()
	result, err := r.does("run", nil)
	r.Expect(err).To(HaveOccurred(), what)
	r.Expect(ReasonOf(err)).To(Equal(reason), "%s: %v", what, err)
	r.Expect(result.Reason).To(Equal(reason), what)
	r.Expect(result.Error).NotTo(BeEmpty())
	r.Expect(asJSON(result)).NotTo(Or(ContainSubstring("wJalr"), ContainSubstring("AKID"), ContainSubstring("correct horse")))
	right()
	last := old[len(old)-1].ID
	r.same(snap(r.t, r.restored(func(c *Config) { c.Restore.Snapshot = last })), before)
	r.must("run", nil)
	r.must("verify", func(c *Config) { c.Verify.Mode = VerifyFull })
	r.same(snap(r.t, r.restored(nil)), snap(r.t, r.volume))
}

// A bucket that is the repository itself and misbehaves from some moment of a run on.
func TestRepositoryInABucketThatMisbehaves(t *testing.T) {
	for mood, c := range map[string]struct {
		reason   string
		patience time.Duration
	}{
		"denying": {ReasonUnavailable, 3 * time.Second}, "skewed": {ReasonClock, 0}, "lying": {ReasonUnavailable, 0}, "halving": {ReasonUnavailable, 0},
		"full": {ReasonFull, 0}, "failing": {ReasonUnavailable, 3 * time.Second}, "down": {ReasonUnavailable, 3 * time.Second},
		"silent": {ReasonUnavailable, time.Second},
	} {
		t.Run(mood, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.write("kept", strings.Repeat("what was there before ", 5000))
			server, bucket := newBucketServer(r)
			r.config.Repository = bucket
			r.must("run", nil)
			bucket.S3.patience = c.patience
			for nth := range int64(2) {
				if mood == "skewed" && nth > 0 {
					break // a server says so when it is asked to store something, not when it is asked what it has
				}
				r.heals(mood, c.reason, func() { server.moodFrom(mood, nth) }, func() { server.moodFrom("", 0) })
			}
		})
	}
}

// The server denies itself from a random request on; MOCKUP_KILLS says how often.
func TestDeniedAtAnyMoment(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t)
	server, bucket := newBucketServer(r)
	r.config.Repository = bucket
	bucket.S3.patience = time.Second // it is asked again and again, until this is over
	r.config.Retention.KeepLatest = 3
	r.write("kept", strings.Repeat("what was there before ", 5000))
	r.must("run", nil)
	for range kills(t) {
		nth := random.Int64N(8)
		before, old := snap(t, r.volume), r.must("list", nil).Snapshots
		r.write("new", strings.Repeat(time.Now().String(), 1000))
		server.moodFrom("denying", nth)
		if result, err := r.does("run", nil); err != nil {
			r.Expect(result.Reason).To(Equal(ReasonUnavailable), "from request %d: %s", nth, result.Error)
		}
		server.moodFrom("", 0)
		r.same(snap(t, r.restored(func(c *Config) { c.Restore.Snapshot = old[len(old)-1].ID })), before)
		r.must("run", nil)
		r.must("verify", func(c *Config) { c.Verify.Mode = VerifyFull })
		r.same(snap(t, r.restored(nil)), snap(t, r.volume))
	}
}

// A slow server makes a backup slow, and nothing else.
func TestSlowBucket(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	server, bucket := newBucketServer(r)
	r.config.Repository = bucket
	server.moodFrom("slow", 0)
	r.must("run", nil)
	r.same(snap(t, r.restored(nil)), snap(t, r.volume))
}

// A bucket that does not exist, and one that belongs to another repository with another password.
func TestWrongBucket(t *testing.T) {
	r := newRig(t)
	r.write("kept", strings.Repeat("what was there before ", 5000))
	_, bucket := newBucketServer(r)
	r.config.Repository = bucket
	r.must("run", nil)
	wrong := *bucket.S3
	wrong.Bucket = "no-such-bucket"
	r.heals("no bucket", ReasonUnavailable, func() { r.config.Repository = Location{S3: &wrong} }, func() { r.config.Repository = bucket })
	other := newRig(t)
	other.Expect(os.WriteFile(other.config.PasswordFile, []byte("another"), 0o600)).To(Succeed())
	other.write("theirs", "theirs")
	_, theirs := newBucketServer(other)
	other.config.Repository = theirs
	other.must("run", nil)
	r.heals("the bucket of others", ReasonPassword, func() { r.config.Repository = theirs }, func() { r.config.Repository = bucket })
	other.same(snap(t, other.restored(nil)), snap(t, other.volume))
}

// The clock is a year ahead for one run, and then right again: what is made afterwards is the newest, and is kept; what the
// wrong clock made is kept, too.
func TestClockThatWasAhead(t *testing.T) {
	r := newRig(t).ticking()
	r.config.Retention.KeepLatest = 2
	r.write("a", "first")
	r.must("run", nil)
	right := r.clock
	r.clock = right.AddDate(1, 0, 0)
	r.write("a", "in a year")
	wrong := r.must("run", nil).Made[0]
	r.clock = right
	for i := range 4 {
		r.clock = r.clock.Add(24 * time.Hour)
		r.write("a", fmt.Sprint("day ", i))
		made := r.must("run", nil).Made[0]
		r.same(snap(t, r.restored(nil)), snap(t, r.volume))
		all := r.must("list", nil).Snapshots
		r.Expect(all).To(ContainElement(HaveField("ID", made.ID)), "what was just made is gone")
		r.Expect(all).To(ContainElement(And(HaveField("ID", wrong.ID), HaveField("Kept", ConsistOf("ahead")))))
	}
	r.Expect(r.must("list", nil).Snapshots).To(HaveLen(3))
	r.must("verify", func(c *Config) { c.Verify.Mode = VerifyFull })
	r.clock = right.AddDate(1, 0, 1)
	r.must("run", nil)
	r.clock = r.clock.Add(time.Hour)
	r.must("run", nil)
	r.Expect(r.must("list", nil).Snapshots).NotTo(ContainElement(HaveField("ID", wrong.ID)), "its time has come, and it stays")
}

// The clock is set back by a month: nothing that there is goes, what is made meanwhile is kept, and when the clock is right
// again all goes on.
func TestClockThatIsSetBack(t *testing.T) {
	r := newRig(t).ticking()
	r.config.Retention.KeepLatest = 2
	right := r.clock
	var old []string
	for i := range 2 {
		r.clock = right.Add(time.Duration(i) * 24 * time.Hour)
		r.write("a", fmt.Sprint("before ", i))
		old = append(old, r.must("run", nil).Made[0].ID)
	}
	r.clock = right.AddDate(0, -1, 0)
	var made string
	for i := range 3 {
		r.clock = r.clock.Add(2 * time.Hour)
		r.write("a", fmt.Sprint("meanwhile ", i))
		made = r.must("run", nil).Made[0].ID
		r.same(snap(t, r.restored(nil)), snap(t, r.volume))
	}
	all := r.must("list", nil).Snapshots
	for _, id := range append(old, made) {
		r.Expect(all).To(ContainElement(HaveField("ID", id)))
	}
	r.clock = right.Add(72 * time.Hour)
	r.write("a", "after")
	r.must("run", nil)
	r.same(snap(t, r.restored(nil)), snap(t, r.volume))
	r.must("verify", func(c *Config) { c.Verify.Mode = VerifyFull })
}

// Of a server that denies itself nothing is known: that is no damage, which would stay until all had been looked at again.
func TestDeniedVerificationFindsNoDamage(t *testing.T) {
	t.Parallel()
	type denied struct {
		what  string
		found Verification
		err   error
	}
	ends := make(chan denied)
	cases := 0
	for _, how := range []Verify{{Mode: VerifyQuick}, {Mode: VerifySample, Percent: 100}, {Mode: VerifyFull}} {
		for nth := range int64(6) {
			repo, server := openInBucket(t)
			cases++
			go func() { // Kopia asks for some time, for all of them at once
				server.moodFrom("refusing", nth)
				ctx, end := repo.storage.reachable(t.Context())
				defer end()
				found, err := repo.verify(ctx, how, nil, NewReporter(discard{}))
				ends <- denied{fmt.Sprintf("%s from request %d", how.Mode, nth), found, told(ctx, t.Context(), err)}
			}()
		}
	}
	g, failed := NewWithT(t), 0
	for range cases {
		d := <-ends
		g.Expect(d.found.Damaged).To(BeEmpty(), d.what)
		if d.err != nil {
			failed++
			g.Expect(ReasonOf(d.err)).To(Equal(ReasonUnavailable), "%s: %v", d.what, d.err)
		}
	}
	g.Expect(failed).To(BeNumerically(">", cases/2), "hardly any was denied")
}

// openInBucket is a repository with a snapshot, in a bucket of its own.
func openInBucket(t *testing.T) (*repository, *bucketServer) {
	t.Helper()
	r := newRig(t)
	server, bucket := newBucketServer(r)
	r.config.Repository = bucket
	for _, name := range []string{"a", "folder/b", "other/c"} {
		r.write(name, strings.Repeat("the content of "+name, 5000))
	}
	r.must("run", nil)
	repo, err := r.config.open(t.Context(), false)
	r.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { repo.close(context.Background()) })
	return repo, server
}

// Kopia looks for indexes again and again, waiting ever longer.
func TestDeniedOpeningEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	server, bucket := newBucketServer(r)
	r.config.Repository = bucket
	r.write("kept", "what was there before")
	r.must("run", nil)
	for nth := int64(4); nth < 10; nth++ { // those before are asked for by ourselves
		server.moodFrom("refusing", nth)
		began := time.Now()
		result, err := r.does("list", nil)
		server.moodFrom("", 0)
		r.Expect(ReasonOf(err)).To(Equal(ReasonUnavailable), "from request %d: %s", nth, result.Error)
		r.Expect(time.Since(began)).To(BeNumerically("<", 30*time.Second), "from request %d", nth)
	}
}
