package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// restLimit bounds one call: some wait for a device.
const restLimit = 60 * time.Second

// A rest is a client of one provider's REST API, as anyone could write it.
type rest struct{ base, token string }

// A problem is an error in the API's words (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	CoAP   string `json:"coap"`
	call   string
}

// Error implements error.
func (p *problem) Error() string {
	return fmt.Sprintf("%s: %d %s %s %s", p.call, p.Status, p.Code, p.CoAP, p.Detail)
}

// do makes a call with in as JSON, unless nil, and reads the answer into out,
// unless nil. Errors of the API are *problem.
func (r rest) do(ctx context.Context, method, path string, in, out any) error {
	err := r.send(ctx, method, path, in, out, "If-Match")
	if p := (*problem)(nil); errors.As(err, &p) && p.Status == http.StatusPreconditionFailed {
		return r.send(ctx, method, path, in, out, "If-None-Match")
	}
	return err
}

// send is do for what there is, or is not, as the condition says.
func (r rest) send(ctx context.Context, method, path string, in, out any, condition string) error {
	ctx, cancel := context.WithTimeout(ctx, restLimit)
	defer cancel()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	if method != http.MethodGet {
		req.Header.Set(condition, "*")
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusBadRequest {
		p := &problem{Status: res.StatusCode, call: method + " " + path}
		_ = json.Unmarshal(text, p) // what is no problem document is told by its status
		return p
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// get reads a resource, or fails t.
func (r rest) get(t *testing.T, path string, out any) {
	t.Helper()
	if err := r.do(t.Context(), http.MethodGet, path, nil, out); err != nil {
		t.Fatal(err)
	}
}

// A page is a part of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next_page_token"`
}

// An auditRow is what the tests look at in an audit row.
type auditRow struct{ Action, Reason string }
