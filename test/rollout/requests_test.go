package rollout

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mockup.dev/mockup/test/load"
	"mockup.dev/mockup/test/stacktest"
)

// seeds are files that are there before and are read all the time.
const seeds = 8

// acknowledged are the uploads that were, by the name they were given; the number makes the content.
type acknowledged struct {
	mu    sync.Mutex
	files map[string]int
}

// content of an upload or a seed, between 1 and 32 KiB.
func content(number int) []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(number))
	source := rand.NewChaCha8(seed)
	bytes := make([]byte, 1<<10+int(source.Uint64()%(31<<10)))
	_, _ = source.Read(bytes) // never fails
	return bytes
}

// seed n counts below zero, so that it is nobody's upload.
func seed(n int) (name string, bytes []byte) { return fmt.Sprintf("seed-%d", n), content(-1 - n) }

func plant(ctx SpecContext) {
	GinkgoHelper()
	for n := range seeds {
		name, bytes := seed(n)
		Expect(put(ctx, client, name, bytes)).To(Succeed())
	}
}

// visits are what people and programs do with the sample, all of it through the gateway. They are chosen so that two cores
// have some rest: a machine that is overloaded fails requests for reasons of its own.
func visits(a *acknowledged) []load.Kind {
	return []load.Kind{
		{Name: "GET /", Share: 40, Do: page},
		{Name: "GET /files/*", Share: 103, Do: func(ctx context.Context, c *http.Client, number int) error {
			name, want := seed(number % seeds)
			return readBack(ctx, c, name, want)
		}},
		{Name: "GET /intranet/openapi.json", Share: 40, Do: description},
		{Name: "GET /intranet/api/v1/stats", Share: 10, Do: statistics},
		{Name: "PUT /files/*", Share: 4, Do: func(ctx context.Context, c *http.Client, number int) error {
			name := fmt.Sprintf("put-%d", number)
			err := put(ctx, c, name, content(number))
			return a.note(err, name, number)
		}},
		{Name: "POST /upload", Share: 3, Do: func(ctx context.Context, c *http.Client, number int) error {
			name, err := post(ctx, c, fmt.Sprintf("form-%d", number), content(number))
			return a.note(err, name, number)
		}},
	}
}

func (a *acknowledged) note(err error, name string, number int) error {
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files[name] = number
	return nil
}

func get(ctx context.Context, c *http.Client, path string) ([]byte, error) {
	return load.Ask(ctx, c, http.StatusOK, http.MethodGet, stacktest.URL+path, nil)
}

// page asks for the page with the seeds on it alone: a longer one would measure templates.
func page(ctx context.Context, c *http.Client, _ int) error {
	body, err := get(ctx, c, "?q=seed")
	if err == nil && (!strings.Contains(string(body), "seed-0") || !strings.Contains(string(body), "</html>")) {
		err = fmt.Errorf("the page does not show a file that is there: %d bytes", len(body))
	}
	return err
}

func description(ctx context.Context, c *http.Client, _ int) error {
	body, err := get(ctx, c, "intranet/openapi.json")
	if err == nil && !json.Valid(body) {
		err = fmt.Errorf("the internal API's description is cut off: %d bytes", len(body))
	}
	return err
}

func statistics(ctx context.Context, c *http.Client, _ int) error {
	body, err := get(ctx, c, "intranet/api/v1/stats")
	if err != nil {
		return err
	}
	var said struct{ Count int }
	if err := json.Unmarshal(body, &said); err != nil || said.Count < seeds {
		return fmt.Errorf("the internal API knows of fewer files than were there from the beginning: %s", body)
	}
	return nil
}

func readBack(ctx context.Context, c *http.Client, name string, want []byte) error {
	body, err := get(ctx, c, "files/"+name)
	if err == nil && !bytes.Equal(body, want) {
		err = fmt.Errorf("%s is not what was uploaded: %d bytes, not %d", name, len(body), len(want))
	}
	return err
}

func put(ctx context.Context, c *http.Client, name string, body []byte) error {
	_, err := load.Ask(ctx, c, http.StatusCreated, http.MethodPut, stacktest.URL+"files/"+name, bytes.NewReader(body))
	return err
}

// post uploads through the page's form and returns the name under which the file was stored.
func post(ctx context.Context, c *http.Client, name string, content []byte) (string, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return "", fmt.Errorf("making a form: %w", err)
	}
	_, _ = part.Write(content) // a buffer takes everything
	if err := form.Close(); err != nil {
		return "", fmt.Errorf("making a form: %w", err)
	}
	answer, err := load.Ask(ctx, c, http.StatusCreated, http.MethodPost, stacktest.URL+"upload", &body,
		"Content-Type", form.FormDataContentType(), "Accept", "application/json")
	if err != nil {
		return "", err
	}
	var stored struct{ Files []struct{ Name string } }
	if err := json.Unmarshal(answer, &stored); err != nil || len(stored.Files) != 1 {
		return "", fmt.Errorf("uploading %s: unexpected answer %q", name, answer)
	}
	return stored.Files[0].Name, nil
}

// take those that were acknowledged so far.
func (a *acknowledged) take() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.files
	a.files = map[string]int{}
	return taken
}

// verify reads every acknowledged upload back, byte for byte, and then removes it: pages and statistics list all files, and
// the more there are, the more it would be their making that is measured.
func (a *acknowledged) verify(ctx SpecContext) {
	GinkgoHelper()
	files, names := a.take(), make(chan string)
	go func() {
		defer close(names)
		for name := range files {
			names <- name
		}
	}()
	var (
		readers sync.WaitGroup
		mu      sync.Mutex
		lost    []error
	)
	begin := time.Now()
	for range 2 { // beside the load
		readers.Go(func() {
			for name := range names {
				err := readBack(ctx, client, name, content(files[name]))
				if err == nil {
					_, err = load.Ask(ctx, client, http.StatusNoContent, http.MethodDelete, stacktest.URL+"files/"+name, nil)
				}
				if err != nil {
					mu.Lock()
					lost = append(lost, err)
					mu.Unlock()
				}
			}
		})
	}
	readers.Wait()
	Expect(errors.Join(lost...)).NotTo(HaveOccurred(), "uploads were acknowledged and are not there")
	fmt.Printf("%d acknowledged uploads read back byte for byte in %s\n", len(files), time.Since(begin).Round(time.Millisecond))
}
