package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestPictures takes the pictures of the documents, of a provider with devices that
// run, into the directory that STEWARD_PICTURES names: make pictures.
func TestPictures(t *testing.T) {
	slow(t)
	dir := os.Getenv("STEWARD_PICTURES")
	if dir == "" {
		t.Skip("needs STEWARD_PICTURES: make pictures")
	}
	w, b := newWorld(t, 7), newBrowser(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	for _, path := range []string{"/3/0", "/1/0"} {
		w.operate(t, w.names[0], "read", path)
	}
	person := b.tab(t)
	person.signIn(t, w.alpha.link)
	person.do(t, "size", chromedp.EmulateViewport(1200, 820))
	for name, path := range map[string]string{
		"overview": "/", "devices": "/devices", "device": "/devices/ep:" + w.names[0], "certificates": "/certificates",
	} {
		person.open(t, "http://"+w.alpha.http+path)
		picture := filepath.Join(dir, name+".webp")
		if err := os.WriteFile(picture, person.webp(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// webp takes a small picture of what the window shows.
func (p *tab) webp(t *testing.T) []byte {
	t.Helper()
	var out []byte
	p.do(t, "picture", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		quality := int64(80)
		got, err := cdp.Call(ctx, target, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{
			Format: "webp", Quality: &quality,
		})
		out = got.Data
		return err
	}))
	return out
}
