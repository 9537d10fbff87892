package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"steward/lwm2m"
	"steward/web"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// stack wraps h as every request is wrapped; what is logged goes to out.
func stack(out io.Writer, h http.HandlerFunc) http.Handler {
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return web.Stack(web.StackOptions{Log: log, Now: func() time.Time { return noon }, TLS: true}, h)
}

func TestStatus(t *testing.T) {
	for _, row := range []struct {
		err    error
		status int
		code   string
	}{
		{web.ErrInvalid, 422, "invalid"},
		{web.Invalid("f", "d"), 422, "invalid"},
		{web.NotFound("device", "x"), 404, "not_found"},
		{web.Refused("4.05", ""), 502, "device_refused"},
		{fmt.Errorf("wrapped: %w", web.ErrConflict), 409, "conflict"},
		{&web.Error{Is: web.ErrTimeout, Cause: web.ErrInvalid}, 504, "timeout"},
		{&http.MaxBytesError{Limit: 1}, 413, "too_large"},
		{context.Canceled, 503, "cancelled"},
		{errors.New("x"), 500, "internal"},
	} {
		if status, code := web.Status(row.err); status != row.status || code != row.code {
			t.Errorf("Status(%v) = %d, %q; want %d, %q", row.err, status, code, row.status, row.code)
		}
	}
}

func TestRequire(t *testing.T) {
	h := web.Require(web.RoleOperator, func(http.ResponseWriter, *http.Request) error { return nil })
	for role, want := range map[web.Role]error{
		web.RoleNone: web.ErrSignedOut, web.RoleViewer: web.ErrForbidden, web.RoleOperator: nil, web.RoleAdmin: nil,
		web.RoleRelease: web.ErrForbidden,
		"root":          web.ErrForbidden,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r = r.WithContext(web.WithActor(r.Context(), web.Actor{Name: "a", Role: role}))
		if err := h(nil, r); !errors.Is(err, want) {
			t.Errorf("as %q = %v, want %v", role, err, want)
		}
	}
}

func TestStackRecovers(t *testing.T) {
	var log bytes.Buffer
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/page?link=secret", nil)
	stack(&log, func(http.ResponseWriter, *http.Request) { panic("the inside") }).ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "inside") {
		t.Errorf("= %d\n%s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "the inside") || strings.Contains(log.String(), "secret") {
		t.Errorf("log:\n%s", log.String())
	}
	if w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security over TLS")
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // the value that net/http documents
			t.Errorf("half an answer ends with %v, want http.ErrAbortHandler", p)
		}
	}()
	stack(io.Discard, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		panic("late")
	}).ServeHTTP(httptest.NewRecorder(), r)
}

func TestCrossOrigin(t *testing.T) {
	h := stack(io.Discard, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, row := range []struct {
		method, header, value string
		want                  int
	}{
		{"POST", "Sec-Fetch-Site", "cross-site", 403},
		{"POST", "Sec-Fetch-Site", "same-site", 403},
		{"POST", "Origin", "https://evil.example", 403},
		{"POST", "Origin", "null", 403},
		{"POST", "Sec-Fetch-Site", "same-origin", 204},
		{"POST", "Origin", "http://example.com", 204},
		{"POST", "X-None", "1", 204},
		{"GET", "Sec-Fetch-Site", "cross-site", 204},
	} {
		r := httptest.NewRequest(row.method, "http://example.com/", nil)
		r.Header.Set(row.header, row.value)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != row.want {
			t.Errorf("%s with %s: %s = %d, want %d", row.method, row.header, row.value, w.Code, row.want)
		}
	}
}

func TestRender(t *testing.T) {
	pages, err := web.LoadPages(fstest.MapFS{
		"layout.html": {Data: []byte(`<p>{{template "main" .}}</p>`)},
		"parts.html":  {Data: []byte(`{{define "part"}}{{.}}{{end}}`)},
		"one.html":    {Data: []byte(`{{define "main"}}1 {{template "part" .X}}{{end}}`)},
		"two.html":    {Data: []byte(`{{define "main"}}2{{end}}`)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"one": "<p>1 &lt;b&gt;</p>", "two": "<p>2</p>"} {
		w := httptest.NewRecorder()
		err := pages.Render(w, http.StatusTeapot, name, struct{ X string }{"<b>"})
		if err != nil || w.Body.String() != want || w.Code != http.StatusTeapot {
			t.Errorf("Render(%s) = %d %q, %v; want %q", name, w.Code, w.Body, err, want)
		}
	}
	for name, data := range map[string]any{"none": nil, "one": struct{ Y int }{}} {
		w := httptest.NewRecorder()
		if err := pages.Render(w, http.StatusOK, name, data); err == nil || w.Body.Len() > 0 {
			t.Errorf("Render(%s) of what it cannot = %v, %d bytes written", name, err, w.Body.Len())
		}
	}
}

func TestParseInput(t *testing.T) {
	for _, row := range []struct {
		kind lwm2m.Kind
		text string
		want lwm2m.Value // zero: refused
	}{
		{lwm2m.KindString, " a ", lwm2m.String(" a ")},
		{lwm2m.KindNone, "7", lwm2m.String("7")},
		{lwm2m.KindInteger, " -7 ", lwm2m.Integer(-7)},
		{lwm2m.KindInteger, "7.5", lwm2m.Value{}},
		{lwm2m.KindUnsigned, "-1", lwm2m.Value{}},
		{lwm2m.KindBoolean, "True", lwm2m.Boolean(true)},
		{lwm2m.KindBoolean, "0", lwm2m.Boolean(false)},
		{lwm2m.KindBoolean, "yes", lwm2m.Value{}},
		{lwm2m.KindTime, "1970-01-01T00:01:00Z", lwm2m.Time(60)},
		{lwm2m.KindTime, "60", lwm2m.Time(60)},
		{lwm2m.KindOpaque, "0x0aFF", lwm2m.Opaque([]byte{10, 255})},
		{lwm2m.KindOpaque, "AQI=", lwm2m.Opaque([]byte{1, 2})},
		{lwm2m.KindOpaque, "0x0", lwm2m.Value{}},
		{lwm2m.KindObjlnk, "3:0", lwm2m.Objlnk(3, 0)},
		{lwm2m.KindObjlnk, "3", lwm2m.Value{}},
	} {
		got, err := web.ParseInput(row.kind, row.text)
		if got != row.want || (row.want == (lwm2m.Value{})) != errors.Is(err, web.ErrInvalid) {
			t.Errorf("ParseInput(%s, %q) = %v, %v; want %v", row.kind, row.text, got, err, row.want)
		}
	}
}

func TestValuesInJSON(t *testing.T) {
	for _, row := range []struct {
		v    lwm2m.Value
		json string
	}{
		{lwm2m.String("a\u2028<"), `"a\u2028\u003c"`},
		{lwm2m.Integer(-1 << 63), `-9223372036854775808`},
		{lwm2m.Unsigned(1<<64 - 1), `18446744073709551615`},
		{lwm2m.Float(0.5), `0.5`},
		{lwm2m.Boolean(true), `true`},
		{lwm2m.Opaque([]byte{1, 2}), `"AQI="`},
		{lwm2m.Time(60), `"1970-01-01T00:01:00Z"`},
		{lwm2m.Objlnk(3, 0), `"3:0"`},
		{lwm2m.Corelnk("</3>"), `"\u003c/3\u003e"`},
	} {
		b, err := json.Marshal(web.EncodeValue(row.v))
		if err != nil || string(b) != row.json {
			t.Errorf("EncodeValue(%v) = %s, %v; want %s", row.v, b, err, row.json)
		}
		if back, err := web.DecodeValue(row.v.Kind(), b); err != nil || back != row.v {
			t.Errorf("DecodeValue(%s, %s) = %v, %v; want %v", row.v.Kind(), b, back, err, row.v)
		}
	}
	for raw, want := range map[string]lwm2m.Value{
		"7": lwm2m.Integer(7), "7.5": lwm2m.Float(7.5), "1e3": lwm2m.Float(1000),
		"true": lwm2m.Boolean(true), `"x"`: lwm2m.String("x"),
	} {
		if got, err := web.DecodeValue(lwm2m.KindNone, json.RawMessage(raw)); err != nil || got != want {
			t.Errorf("DecodeValue(none, %s) = %v, %v; want %v", raw, got, err, want)
		}
	}
	for _, bad := range []struct {
		kind lwm2m.Kind
		raw  string
	}{
		{lwm2m.KindInteger, `"7"`},
		{lwm2m.KindInteger, `true`},
		{lwm2m.KindString, `7`},
		{lwm2m.KindString, ``},
		{lwm2m.KindString, `null`},
		{lwm2m.KindNone, `{}`},
		{lwm2m.KindNone, `[1]`},
		{lwm2m.KindBoolean, `1`},
		{lwm2m.KindInteger, `1e99`},
	} {
		if v, err := web.DecodeValue(bad.kind, json.RawMessage(bad.raw)); !errors.Is(err, web.ErrInvalid) {
			t.Errorf("DecodeValue(%s, %s) = %v, %v; want ErrInvalid", bad.kind, bad.raw, v, err)
		}
	}
}

func TestServicesAreComplete(t *testing.T) {
	s := web.Services{}.Complete()
	_, err := s.Transfers.ListTransfers(t.Context(), web.TransferFilter{}, web.Page{})
	if !errors.Is(err, web.ErrNotBuilt) {
		t.Errorf("an absent service = %v, want ErrNotBuilt", err)
	}
}

// TestLogError checks that only faults of ours wake somebody up.
func TestLogError(t *testing.T) {
	for err, want := range map[error]string{
		errors.New("disk on fire"): "ERROR",
		&web.Error{Is: web.ErrUnavailable, Cause: errors.New("disk full")}: "ERROR",
		web.Refused("4.05", "no"): "INFO",
		web.ErrTimeout:            "INFO",
		context.Canceled:          "DEBUG",
		web.ErrNotFound:           "DEBUG",
		web.ErrNotBuilt:           "DEBUG",
	} {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		web.LogError(httptest.NewRequest(http.MethodGet, "/", nil), log, err)
		if !strings.Contains(out.String(), "level="+want+" ") || !strings.Contains(out.String(), err.Error()) {
			t.Errorf("%v is logged as %s, want %s", err, out.String(), want)
		}
	}
	if text := web.Refused("4.05", "no").Error(); text != "the device refused: 4.05: no" {
		t.Errorf("text = %q", text)
	}
}
