package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// width and height of the window, in CSS pixels.
	width, height = 1200, 850
	// callTimeout bounds a single command.
	callTimeout = 30 * time.Second
)

// page is a tab.
type page struct {
	*chromium
	session string
}

// open opens a tab whose downloads go to a folder.
func (c *chromium) open(downloads string) (*page, error) {
	p := &page{chromium: c}
	var target struct{ TargetID string }
	if err := p.do("Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		return nil, err
	}
	var attached struct{ SessionID string }
	if err := p.do("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		return nil, err
	}
	if err := p.do("Browser.setDownloadBehavior", map[string]any{"behavior": "allow", "downloadPath": downloads, "eventsEnabled": true}, nil); err != nil {
		return nil, err
	}
	p.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "DOM", "Network", "Security"} {
		if err := p.do(domain+".enable", map[string]any{}, nil); err != nil {
			return nil, err
		}
	}
	return p, p.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// do is call with the page and a deadline.
func (p *page) do(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	return p.call(ctx, p.session, method, params, result)
}

// visit goes to an address. A certificate that is not trusted is an error. Chromium breaks off what is under way when an
// interface comes or goes, as those of new pods do; a visitor would press reload, and so does this.
func (p *page) visit(address string) error {
	for deadline := time.Now().Add(callTimeout); ; {
		var answer struct{ ErrorText string }
		if err := p.do("Page.navigate", map[string]any{"url": address}, &answer); err != nil {
			return err
		}
		if answer.ErrorText == "" {
			return nil
		}
		if answer.ErrorText != "net::ERR_NETWORK_CHANGED" || time.Now().After(deadline) {
			return fmt.Errorf("visiting %s: %s", address, answer.ErrorText)
		}
	}
}

// eval evaluates JavaScript, waiting for promises, and returns a string, number, boolean, list or map.
func (p *page) eval(expression string) (any, error) {
	var answer struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	if err := p.do("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &answer); err != nil {
		return nil, err
	}
	if answer.ExceptionDetails != nil {
		return nil, fmt.Errorf("evaluating %s: %s", expression, answer.ExceptionDetails.Exception.Description)
	}
	return answer.Result.Value, nil
}

// text is what a visitor reads in the element, empty while there is none.
func (p *page) text(selector string) func() (string, error) {
	return func() (string, error) {
		value, err := p.eval(fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
		text, _ := value.(string)
		return text, err
	}
}

// click presses the mouse in the middle of an element, and whatever lies above it there gets the click.
func (p *page) click(selector string) error {
	value, err := p.eval(fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	})()`, selector))
	if err != nil {
		return err
	}
	at, ok := value.([]any)
	if !ok || len(at) != 2 {
		return fmt.Errorf("clicking on %s: it is at %v", selector, value)
	}
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		if err := p.do("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1}, nil); err != nil {
			return err
		}
	}
	return nil
}

// choose picks files in a file input, as its dialogue would.
func (p *page) choose(selector string, files ...string) error {
	var document struct{ Root struct{ NodeID int } }
	if err := p.do("DOM.getDocument", map[string]any{}, &document); err != nil {
		return err
	}
	var input struct{ NodeID int }
	if err := p.do("DOM.querySelector", map[string]any{"nodeId": document.Root.NodeID, "selector": selector}, &input); err != nil {
		return err
	}
	return p.do("DOM.setFileInputFiles", map[string]any{"nodeId": input.NodeID, "files": files}, nil)
}

// screenshot saves what is visible as PNG.
func (p *page) screenshot(path string) error {
	var shot struct{ Data []byte }
	if err := p.do("Page.captureScreenshot", map[string]any{"format": "png"}, &shot); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("saving a screenshot: %w", err)
	}
	if err := os.WriteFile(path, shot.Data, 0o644); err != nil {
		return fmt.Errorf("saving a screenshot: %w", err)
	}
	return nil
}

// complaints are what the browser's console shows in red.
func (p *page) complaints() (found []string) {
	for _, params := range p.seen("Log.entryAdded") {
		var e struct {
			Entry struct{ Level, Text, URL string }
		}
		if json.Unmarshal(params, &e) != nil || e.Entry.Level == "error" {
			found = append(found, e.Entry.Text+" "+e.Entry.URL)
		}
	}
	for _, params := range p.seen("Runtime.consoleAPICalled") {
		var e struct{ Type string }
		if json.Unmarshal(params, &e) != nil || e.Type == "error" || e.Type == "assert" {
			found = append(found, string(params))
		}
	}
	for _, params := range p.seen("Runtime.exceptionThrown") {
		found = append(found, string(params))
	}
	return found
}
