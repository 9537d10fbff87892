package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"steward/web"
)

// NewSecret returns a secret, and how people get it, once.
func NewSecret() (secret []byte, shown string) {
	secret = make([]byte, secretSize)
	_, _ = rand.Read(secret) // crypto/rand never fails
	return secret, prefix + base64.StdEncoding.EncodeToString(secret)
}

// Sign returns the value of webhook-signature for a message (Standard Webhooks,
// "Signature scheme"): HMAC-SHA256 over its id, its time in seconds and its body.
func Sign(secret []byte, id string, at time.Time, body []byte) string {
	m := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(m, id+"."+strconv.FormatInt(at.Unix(), 10)+".") // never fails
	_, _ = m.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// request makes the message of an event. Its id is the same each time that it is sent.
func request(ctx context.Context, h Hook, e web.Logged, source string, now time.Time) (*http.Request, error) {
	body, err := e.CloudEvent(source)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	id := strconv.FormatUint(e.ID, 10)
	if h.Mode == Binary {
		body = e.Data
		header.Set("Content-Type", "application/json")
		header.Set("Ce-Specversion", "1.0")
		header.Set("Ce-Id", id)
		header.Set("Ce-Source", source)
		header.Set("Ce-Type", e.Type)
		header.Set("Ce-Time", e.At.UTC().Format(time.RFC3339Nano))
		if e.Subject != "" {
			header.Set("Ce-Subject", url.PathEscape(e.Subject))
		}
	}
	if len(body) > MaxMessage {
		return nil, errTooLong
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	id = h.ID + "." + id
	header.Set("User-Agent", "Steward-Webhook/1")
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	header.Set("Webhook-Signature", Sign(h.Secret, id, now, body))
	r.Header = header
	return r, nil
}

var errTooLong = errors.New("the event is too long to be told")

// An outcome is what came of one attempt.
type outcome struct {
	status int           // 0: no answer
	words  string        // why it failed; "": it did not
	gone   bool          // it wants no more
	final  bool          // to repeat it is useless
	pause  time.Duration // that it asks for; 0: none
}

// send makes one attempt.
func send(client *http.Client, r *http.Request) outcome {
	res, err := client.Do(r)
	if err != nil {
		words := err.Error()
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			words = wrapped.Err.Error() // without the address, which may hold a secret
		}
		return outcome{words: short(words), final: errors.Is(err, ErrAddress)}
	}
	defer func() { _ = res.Body.Close() }()                             // read as far as it matters
	said, _ := io.ReadAll(io.LimitReader(res.Body, maxWords))           // what comes, for people
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, MaxMessage<<1)) // so that the connection can be used again
	o := outcome{status: res.StatusCode}
	switch {
	case res.StatusCode/100 == 2:
		return o
	case res.StatusCode == http.StatusGone:
		o.gone = true
	case res.StatusCode == http.StatusRequestTimeout, res.StatusCode == http.StatusTooEarly,
		res.StatusCode == http.StatusTooManyRequests, res.StatusCode/100 == 5:
		if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
			o.pause = min(time.Duration(n)*time.Second, hour)
		}
	case res.StatusCode/100 == 3:
		o.words = "redirections are not followed"
	}
	if o.words == "" {
		o.words = short(res.Status + " " + strings.ToValidUTF8(string(said), ""))
	}
	return o
}

// short bounds words, and takes what is no text out.
func short(words string) string {
	words = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if control(r) {
			return ' '
		}
		return r
	}, words)), " ")
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "…"
	}
	return words
}
