package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestDevicePage opens a device as an operator does: reads a resource, observes
// another, and sees its value change without a reload.
func TestDevicePage(t *testing.T) {
	slow(t)
	t.Parallel()
	w, b := newWorld(t, 2), newBrowser(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	person := b.tab(t)
	person.signIn(t, w.alpha.link)
	person.open(t, "http://"+w.alpha.http+"/devices")
	person.do(t, "the list names the device", chromedp.WaitVisible(chromedp.Search(`//a[text()="`+w.names[0]+`"]`)))
	person.follow(t, w.names[0])
	if got := person.text(t, "h1"); got != w.names[0] {
		t.Fatalf("page is headed %q, want %q", got, w.names[0])
	}

	person.do(t, "unfold /3/0", unfold("/3/0"))
	person.submit(t, `button[aria-label="Read /3/0/0"]`)
	person.waitText(t, waitLimit, `output[data-path="/3/0/0"]`, func(s string) bool { return s == "Steward" })

	const level = `output[data-path="/3/0/9"]`
	person.submit(t, `button[aria-label="Observe /3/0/9"]`)
	first := person.waitText(t, waitLimit, level, func(s string) bool { return s != "" && s != "–" })
	eval[chromedp.Void](t, person, "window.same = true") // lost by a reload
	person.waitText(t, waitLimit, level, func(s string) bool { return s != first })
	if !eval[bool](t, person, "window.same === true") {
		t.Error("the page was loaded again, want the value to change in place")
	}

	// What the page shows is what the API says.
	devices, err := w.alpha.devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	page := "http://" + w.alpha.http + "/devices/" + devices[w.names[0]].ID
	for _, l := range looks {
		person.show(t, l)
		person.inspect(t, page, w.names[0], "device-"+l.String())
	}
	person.visit(t, w.alpha, "used")

	// A device that is gone is shown so, in place.
	person.open(t, page)
	w.devices.stop(t)
	eventually(t, waitLimit, "a read of a device that is gone fails in words", func() error {
		person.submit(t, `button[aria-label="Read /3/0/0"]`)
		if text := person.text(t, ".flash"); !strings.Contains(text, "not done") {
			return fmt.Errorf("page says %q", text)
		}
		return nil
	})
	person.shoot(t, "device-gone")
}
