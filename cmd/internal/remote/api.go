// Package remote is the HTTP client of our own interfaces: the REST API for the
// command line, and the API between providers.
package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"steward/web"
)

// maxAnswer bounds what is read of an answer: a page of the largest list.
const maxAnswer = 32 << 20

// ErrAPI reports an answer that is no success; *ProblemError says more.
var ErrAPI = errors.New("refused by the server")

// A ProblemError is an error answer of the REST API.
type ProblemError struct {
	Status  int
	Problem web.Problem
}

// Error implements error.
func (e *ProblemError) Error() string {
	text := e.Problem.Detail
	if text == "" {
		text = e.Problem.Title
	}
	if e.Problem.CoAP != "" {
		text += "; it answered " + e.Problem.CoAP
	}
	for _, f := range e.Problem.Errors {
		text += fmt.Sprintf("; %s: %s", f.Field, f.Detail)
	}
	return fmt.Sprintf("%d %s: %s", e.Status, e.Problem.Code, text)
}

// Is makes errors.Is(err, ErrAPI) true.
func (e *ProblemError) Is(target error) bool { return target == ErrAPI }

// An API is a REST API with a token.
type API struct {
	base   string // "http://127.0.0.1:8080"
	token  string
	client *http.Client
}

// NewAPI returns the client of the API at base, such as "http://127.0.0.1:8080".
func NewAPI(base, token string) *API {
	return &API{base: strings.TrimSuffix(base, "/"), token: token, client: &http.Client{Timeout: time.Minute}}
}

// Get reads path (below /api/v1) into out.
func (a *API) Get(ctx context.Context, path string, out any) error {
	return a.do(ctx, http.MethodGet, path, nil, out)
}

// Post sends in to path and reads the answer into out; nil reads none.
func (a *API) Post(ctx context.Context, path string, in, out any) error {
	return a.do(ctx, http.MethodPost, path, in, out)
}

// Send sends a JSON document as it is, and reads the answer into out; nil reads
// none.
func (a *API) Send(ctx context.Context, method, path string, document []byte, out any) error {
	answer, err := a.raw(ctx, method, path, document)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// Fetch returns the answer to a GET as it is.
func (a *API) Fetch(ctx context.Context, path string) ([]byte, error) {
	return a.raw(ctx, http.MethodGet, path, nil)
}

func (a *API) do(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	return a.Send(ctx, method, path, body, out)
}

// Download sends a request without a body and writes the answer to w, however long it
// is and takes. An answer that breaks off is io.ErrUnexpectedEOF.
func (a *API) Download(ctx context.Context, method, path string, w io.Writer) error {
	patient := *a.client
	patient.Timeout = 0
	res, err := a.ask(ctx, &patient, method, path, nil, http.Header{})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read to its end or given up
	if res.StatusCode >= http.StatusBadRequest {
		_, err := answerOf(res, method, path)
		return err
	}
	_, err = io.Copy(w, res.Body)
	return err
}

// Metrics returns what the server counts, in the text format of Prometheus.
func (a *API) Metrics(ctx context.Context) ([]byte, error) {
	res, err := a.request(ctx, a.client, http.MethodGet, "/metrics", nil, http.Header{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // read to its end or given up
	return answerOf(res, http.MethodGet, "/metrics")
}

// raw sends a request, whose body is JSON, and returns what comes back. Where the
// server wants to hear what the caller has seen, that is what there is now.
func (a *API) raw(ctx context.Context, method, path string, in []byte) ([]byte, error) {
	header := http.Header{}
	if method == http.MethodPost {
		header.Set("Idempotency-Key", rand.Text())
	}
	answer, told, err := a.once(ctx, method, path, in, header)
	lost := (*url.Error)(nil)
	if errors.As(err, &lost) && !lost.Timeout() && ctx.Err() == nil && method == http.MethodPost {
		// A connection that broke says nothing of what was done: the key makes it once.
		answer, told, err = a.once(ctx, method, path, in, header)
	}
	if e := (*ProblemError)(nil); errors.As(err, &e) && e.Status == http.StatusPreconditionRequired {
		if err := a.condition(ctx, related(told), header); err != nil {
			return nil, err
		}
		answer, _, err = a.once(ctx, method, path, in, header)
	}
	return answer, err
}

// related returns where the Link of an answer leads, below /api/v1; "" nowhere.
func related(told http.Header) string {
	target, _, ok := strings.Cut(strings.TrimPrefix(told.Get("Link"), "<"+prefix), ">")
	if !ok {
		return ""
	}
	return target
}

// condition reads path and sets the condition that it is still so.
func (a *API) condition(ctx context.Context, path string, header http.Header) error {
	_, told, err := a.once(ctx, http.MethodGet, path, nil, http.Header{})
	if e := (*ProblemError)(nil); errors.As(err, &e) && e.Status == http.StatusNotFound {
		header.Set("If-None-Match", "*")
		return nil
	}
	header.Set("If-Match", told.Get("ETag"))
	return err
}

const prefix = "/api/v1"

// maxWait bounds, in seconds, for how long a request is put off that comes too often.
const maxWait = 60

// once sends one request, later if it is told to ask later (429), and returns the
// answer with its header.
func (a *API) once(ctx context.Context, method, path string, in []byte, header http.Header) (
	answer []byte, told http.Header, err error,
) {
	for waited := 0; ; {
		answer, told, err = a.send(ctx, method, path, in, header)
		e := (*ProblemError)(nil)
		if !errors.As(err, &e) || e.Status != http.StatusTooManyRequests {
			return answer, told, err
		}
		seconds, bad := strconv.Atoi(told.Get("Retry-After"))
		if bad != nil || seconds < 1 || waited+seconds > maxWait {
			return answer, told, err
		}
		waited += seconds
		select {
		case <-time.After(time.Duration(seconds) * time.Second):
		case <-ctx.Done():
			return answer, told, err
		}
	}
}

// send sends one request and returns the answer with its header.
func (a *API) send(ctx context.Context, method, path string, in []byte, header http.Header) (
	[]byte, http.Header, error,
) {
	res, err := a.ask(ctx, a.client, method, path, in, header)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }() // read to its end or given up
	answer, err := answerOf(res, method, path)
	return answer, res.Header, err
}

// answerOf reads an answer; one that is no success is a ProblemError.
func answerOf(res *http.Response, method, path string) ([]byte, error) {
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil || res.StatusCode < http.StatusBadRequest {
		return answer, err
	}
	e := &ProblemError{Status: res.StatusCode}
	if json.Unmarshal(answer, &e.Problem) != nil {
		e.Problem = web.Problem{Code: "no_problem_document", Title: http.StatusText(res.StatusCode)}
	}
	return nil, fmt.Errorf("%s %s: %w", method, path, e)
}

// ask sends one request below /api/v1. The caller closes the answer.
func (a *API) ask(ctx context.Context, client *http.Client, method, path string, in []byte, header http.Header) (
	*http.Response, error,
) {
	return a.request(ctx, client, method, prefix+path, in, header)
}

// request sends one request. The caller closes the answer.
func (a *API) request(ctx context.Context, client *http.Client, method, path string, in []byte, header http.Header) (
	*http.Response, error,
) {
	var body io.Reader
	if in != nil {
		body = bytes.NewReader(in)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header = header.Clone()
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return client.Do(req)
}

// All reads every page of a list. path may have a query.
func All[T any](ctx context.Context, a *API, path string) ([]T, error) {
	var all []T
	u, err := url.Parse(path)
	if err != nil {
		return nil, err
	}
	for {
		var page web.List[T]
		if err := a.Get(ctx, u.String(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		q := u.Query()
		q.Set("page_token", page.Next)
		u.RawQuery = q.Encode()
	}
}
