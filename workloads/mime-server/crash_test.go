package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // specs read best without a qualifier

	"mockup.dev/mockup/workloads/internal/servicetest"
)

// promises remembers what the service has acknowledged, over all its lives.
type promises struct {
	mu sync.Mutex
	// kept is the digest of the content last acknowledged for a name.
	kept map[string]string
	// open are the digests of contents sent later whose answer never came:
	// either outcome is right.
	open map[string]map[string]bool
	// acknowledged and cut count the uploads that ended each way.
	acknowledged, cut int
}

func (p *promises) sent(name, sum string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[name] == nil {
		p.open[name] = map[string]bool{}
	}
	p.open[name][sum] = true
}

func (p *promises) answered(name, sum string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept[name], p.open[name] = sum, nil
	p.acknowledged++
}

func (p *promises) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acknowledged
}

func (p *promises) cutOff() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut++
}

// uploads puts files, new ones and old names anew, until the service is gone.
// Each writer has names of its own, so that the order of its puts is known.
func (p *promises) uploads(writer int, url string) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for {
		name := fmt.Sprintf("writer-%d/file-%d", writer, rand.IntN(25))
		content := make([]byte, rand.IntN(400_000))
		for i := range content {
			content[i] = byte(rand.Uint32())
		}
		sum := digest(content)
		p.sent(name, sum)
		request, err := http.NewRequestWithContext(context.Background(), http.MethodPut, url+"/files/"+name, bytes.NewReader(content))
		Expect(err).NotTo(HaveOccurred())
		response, err := client.Do(request)
		if err != nil {
			p.cutOff()
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		Expect(response.StatusCode).To(BeElementOf(http.StatusOK, http.StatusCreated))
		p.answered(name, sum)
	}
}

// verify reads everything back.
func (p *promises) verify(url, dir string) {
	GinkgoHelper()
	found := inventory(url)
	for name := range p.kept {
		Expect(found).To(HaveKey(name), "an acknowledged file is lost")
	}
	for name := range found {
		answer := get(url + "/files/" + name)
		Expect(answer.StatusCode).To(Equal(http.StatusOK))
		sum := digest(answer.body)
		Expect(answer.Header.Get("X-Content-Sha256")).To(Equal(sum))
		if sum != p.kept[name] {
			Expect(p.open[name]).To(HaveKey(sum), "%s holds %d bytes that nobody sent", name, len(answer.body))
		}
		// Whatever it was that survived, from now on it is what must stay.
		p.kept[name], p.open[name] = sum, nil
	}
	for _, name := range onDisk(dir) {
		Expect(found).To(HaveKey(name), "a leftover was not cleared away")
	}
}

var _ = Describe("Crashes", func() {
	It("lose no acknowledged file and show no half of one", func() {
		dir := dataDir()
		p := &promises{kept: map[string]string{}, open: map[string]map[string]bool{}}
		const lives = 25
		for range lives {
			service := start(dir)
			p.verify(service.URL, dir)
			var writers sync.WaitGroup
			for writer := range 4 {
				writers.Go(func() {
					defer GinkgoRecover()
					p.uploads(writer, service.URL)
				})
			}
			// The moment of the crash: at any point of the uploads after the n-th.
			n := p.count() + 4 + rand.IntN(12)
			Eventually(p.count).WithPolling(time.Millisecond).WithTimeout(20*time.Second).Should(BeNumerically(">=", n), "uploads are not acknowledged")
			time.Sleep(time.Duration(rand.IntN(10_000)) * time.Microsecond)
			service.Kill()
			writers.Wait()
		}
		p.verify(start(dir).URL, dir)
		GinkgoWriter.Println("acknowledged", p.acknowledged, "cut off", p.cut)
		Expect(p.cut).To(Equal(4*lives), "each crash cuts off what each writer is sending")
	})

	It("leave remains that the next start clears away, but for uploads of a living process", func() {
		dir := dataDir()
		begin := func(service *servicetest.Process, name string) (*io.PipeWriter, chan reply) {
			body, content := io.Pipe()
			done := make(chan reply, 1)
			go func() {
				defer GinkgoRecover()
				request, err := http.NewRequest(http.MethodPut, service.URL+"/files/"+name, body)
				Expect(err).NotTo(HaveOccurred())
				response, err := servicetest.Client.Do(request)
				if err != nil {
					done <- reply{}
					return
				}
				response.Body.Close()
				done <- reply{Response: response}
			}()
			_, err := io.WriteString(content, "the beginning, ")
			Expect(err).NotTo(HaveOccurred())
			Eventually(func() []string { return temporary(dir) }).ShouldNot(BeEmpty())
			return content, done
		}
		first := start(dir)
		dead, _ := begin(first, "dead")
		first.Kill()
		_ = dead.CloseWithError(io.ErrClosedPipe)
		Expect(temporary(dir)).To(HaveLen(1))

		second := start(dir)
		Expect(temporary(dir)).To(BeEmpty())
		alive, done := begin(second, "alive")
		start(dir) // a third process, as during an update
		Expect(temporary(dir)).To(HaveLen(1), "it belongs to a living process")
		_, err := io.WriteString(alive, "and the end")
		Expect(err).NotTo(HaveOccurred())
		Expect(alive.Close()).To(Succeed())
		Expect((<-done).StatusCode).To(Equal(http.StatusCreated))
		Expect(os.ReadFile(filepath.Join(dir, "alive"))).To(Equal([]byte("the beginning, and the end")))
	})

	It("of a client leave nothing", func() {
		dir := dataDir()
		service := start(dir)
		ctx, cancel := context.WithCancel(context.Background())
		body, content := io.Pipe()
		request, err := http.NewRequestWithContext(ctx, http.MethodPut, service.URL+"/files/a", body)
		Expect(err).NotTo(HaveOccurred())
		go func() {
			if response, err := servicetest.Client.Do(request); err == nil {
				response.Body.Close()
			}
		}()
		_, err = io.WriteString(content, "half")
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() []string { return temporary(dir) }).ShouldNot(BeEmpty())
		cancel()
		Eventually(func() []string { return onDisk(dir) }).Should(BeEmpty())
	})
})

// temporary lists the files being written.
func temporary(dir string) []string {
	names, err := filepath.Glob(filepath.Join(dir, ".upload-*"))
	Expect(err).NotTo(HaveOccurred())
	return names
}
