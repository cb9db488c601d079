// Package browser uses the page of the sample stack in headless Chromium, as a visitor does: through the gateway's TLS,
// trusting its certificate authority.
//
//	make browser
//
// It leaves what it saw in bin/test/page.png and bin/test/preview.png.
package browser

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/format"

	"mockup.dev/mockup/test/stacktest"
)

func TestBrowser(t *testing.T) {
	RegisterFailHandler(Fail)
	format.MaxLength = 0 // logs are part of messages
	RunSpecs(t, "The page in a browser")
}

const (
	// picture and note are what is uploaded; the note's name is as odd as a visitor's may be.
	picture = "sunset.png"
	note    = "Notes & more – 100% “über” #1.txt"
	// noteText would show if the preview took it for HTML.
	noteText = "Meeting at noon.\n<b>Bring</b> the & sign, a \"quote\" and an ümlaut.\n"
	// limit is how big a file may be: maxBodySize of the sample's routes.
	limit = 100 << 20
)

// files are what is uploaded, by name.
var files = map[string][]byte{
	picture:          sunset(),
	note:             []byte(noteText),
	"brochure.pdf":   []byte("%PDF-1.4\n%%EOF\n"),
	"inventory.json": []byte(`{"chairs": 12, "tables": 3}`),
}

var (
	stack  *stacktest.Stack
	tab    *page
	folder string // of the visitor's own files
)

var _ = BeforeSuite(func(ctx SpecContext) {
	Expect(installed()).To(Succeed())
	var err error
	stack, err = stacktest.New()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) { Expect(stack.Purge(ctx)).To(Succeed()) }, NodeTimeout(2*time.Minute))
	Expect(stack.Up(ctx)).To(Succeed())
	Eventually(addressesStand(2*time.Second), 30*time.Second, 100*time.Millisecond).Should(BeTrue(), "the addresses of this machine change again and again")

	folder = filepath.Join(stack.Dir, "visitor")
	Expect(os.MkdirAll(filepath.Join(folder, "downloads"), 0o700)).To(Succeed())
	for name, content := range files {
		Expect(os.WriteFile(filepath.Join(folder, name), content, 0o600)).To(Succeed())
	}
	Expect(os.WriteFile(filepath.Join(folder, "huge.bin"), nil, 0o600)).To(Succeed())
	Expect(os.Truncate(filepath.Join(folder, "huge.bin"), limit+1)).To(Succeed())
	tab = openBrowser(ctx, folder, true)
}, NodeTimeout(3*time.Minute))

// addressesStand tells whether this machine has had the same addresses for a time. A stack that comes up brings new ones, the
// last of them a second or two later, when IPv6 has looked for duplicates; and Chromium then breaks off what it is at
// (ERR_NETWORK_CHANGED).
func addressesStand(still time.Duration) func() (bool, error) {
	var last string
	var since time.Time
	return func() (bool, error) {
		out, err := exec.Command("ip", "-oneline", "address").Output()
		if now := string(out); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) >= still, err
	}
}

var _ = JustAfterEach(func() {
	if CurrentSpecReport().Failed() {
		GinkgoWriter.Println(stack.Logs())
	}
})

// openBrowser starts a browser of its own until the spec ends.
func openBrowser(ctx context.Context, home string, trusting bool) *page {
	GinkgoHelper()
	if trusting {
		Expect(trust(ctx, home, stack.CA())).To(Succeed())
	}
	browser, err := start(home)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(browser.stop)
	page, err := browser.open(filepath.Join(home, "downloads"))
	Expect(err).NotTo(HaveOccurred())
	return page
}

var _ = Describe("The page", Ordered, func() {
	BeforeEach(func() { SetDefaultEventuallyTimeout(30 * time.Second) })

	It("opens over TLS that the browser trusts", func() {
		Expect(tab.visit(stacktest.URL)).To(Succeed())
		Eventually(tab.text("h1")).Should(Equal("Share a file"))
		Expect(tab.text("#list")()).To(ContainSubstring("Nothing here yet"))
		Expect(tab.text("#limit")()).To(Equal("Up to 100 MB a file."))
	})

	It("uploads several files at once and lists them", func() {
		var chosen []string
		for name := range files {
			chosen = append(chosen, filepath.Join(folder, name))
		}
		slices.Sort(chosen)
		Expect(tab.choose("#file", chosen...)).To(Succeed())
		for name := range files {
			Eventually(tab.text(row(name))).Should(And(ContainSubstring(name), ContainSubstring("this minute")))
		}
		Expect(tab.text(row(picture))()).To(ContainSubstring("image/png"))
		Expect(tab.text("#list nav")()).To(HavePrefix("4 files"))
		Expect(tab.text("#queue")()).NotTo(ContainSubstring("try again"))
		Eventually(tab.text("#queue")).Should(BeEmpty(), "what was uploaded stays in the queue")
		Expect(tab.screenshot(filepath.Join(stack.Bin, "test", "page.png"))).To(Succeed())
	})

	It("finds files by name", func() {
		Expect(tab.visit(stacktest.URL + "?q=sun")).To(Succeed())
		Eventually(tab.text("#list nav")).Should(HavePrefix("1 of 4 files"))
		Expect(tab.text(row(note))()).To(BeEmpty())
	})

	It("previews a picture", func() {
		follow(row(picture)+" .name", picture)
		Eventually(func() (any, error) {
			return tab.eval(`(() => { const i = document.querySelector("#preview img"); return i && i.complete ? i.naturalWidth + "x" + i.naturalHeight : "" })()`)
		}).Should(Equal("640x400"))
		Expect(tab.screenshot(filepath.Join(stack.Bin, "test", "preview.png"))).To(Succeed())
	})

	It("previews a text as it is, not as HTML", func() {
		Expect(tab.visit(stacktest.URL)).To(Succeed())
		follow(row(note)+" .name", note)
		Expect(tab.text("#preview pre")()).To(Equal(noteText))
		Expect(tab.text(".facts")()).To(ContainSubstring("text/plain"))
	})

	It("downloads what was uploaded, byte for byte, under its name", func() {
		for name, want := range files {
			Expect(tab.visit(stacktest.URL)).To(Succeed())
			Eventually(tab.text(row(name))).ShouldNot(BeEmpty())
			Expect(tab.click(row(name) + " .get")).To(Succeed())
			Eventually(func() ([]byte, error) { return os.ReadFile(filepath.Join(folder, "downloads", name)) }).Should(Equal(want))
		}
	})

	It("says what is wrong with a file that is too big", func() {
		Expect(tab.visit(stacktest.URL)).To(Succeed())
		Eventually(tab.text("#list nav")).Should(HavePrefix("4 files"))
		Expect(tab.choose("#file", filepath.Join(folder, "huge.bin"))).To(Succeed())
		Eventually(tab.text("#queue .failed")).Should(And(ContainSubstring("huge.bin"), ContainSubstring("too big"), ContainSubstring("100 MB")))
		Expect(tab.text("#list nav")()).To(HavePrefix("4 files"))
		Expect(tab.click("#queue .failed button")).To(Succeed())
		Eventually(tab.text("#queue")).Should(BeEmpty(), "the message can't be dismissed")
	})

	It("left nothing red in the console so far", func() {
		Expect(tab.complaints()).To(BeEmpty())
	})

	It("says so, too, when only the server finds a file too big", func() {
		_, err := tab.eval(`document.getElementById("upload").dataset.limit = "0"`)
		Expect(err).NotTo(HaveOccurred())
		Expect(tab.choose("#file", filepath.Join(folder, "huge.bin"))).To(Succeed())
		Eventually(tab.text("#queue .failed")).Should(And(ContainSubstring("huge.bin"), ContainSubstring("larger than")))
	})

	It("is not opened by a browser that does not know the authority", func(ctx SpecContext) {
		stranger := openBrowser(ctx, GinkgoT().TempDir(), false)
		Expect(stranger.visit(stacktest.URL)).To(MatchError(ContainSubstring("ERR_CERT_AUTHORITY_INVALID")))
	}, NodeTimeout(time.Minute))
})

// row selects the line of a file.
func row(name string) string { return fmt.Sprintf(`.row[data-name=%q]`, name) }

// follow clicks on a link and waits until the page has that title.
func follow(link, title string) {
	GinkgoHelper()
	Eventually(tab.text(link)).ShouldNot(BeEmpty())
	Expect(tab.click(link)).To(Succeed())
	Eventually(func() (any, error) { return tab.eval(`document.readyState == "complete" && document.title`) }).Should(Equal(title))
}

// sunset paints a picture.
func sunset() []byte {
	canvas := image.NewRGBA(image.Rect(0, 0, 640, 400))
	for y := range 400 {
		for x := range 640 {
			sun := math.Hypot(float64(x-320), float64(y-250)) < 70
			switch {
			case y > 270:
				canvas.Set(x, y, color.RGBA{40, 50, uint8(110 - (y-270)/3), 255})
			case sun:
				canvas.Set(x, y, color.RGBA{255, 214, 120, 255})
			default:
				canvas.Set(x, y, color.RGBA{uint8(90 + y/2), uint8(70 + y/4), 130, 255})
			}
		}
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, canvas); err != nil {
		panic(err) // a buffer takes everything
	}
	return encoded.Bytes()
}
