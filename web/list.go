package web

import (
	"net/url"
	"strconv"
)

// Page sizes of lists.
const (
	DefaultPageSize = 50
	MaxPageSize     = 200 // a page stays below about 100 KiB and 100 ms
	maxPageToken    = 256 // longest cursor that any of our lists hands out
)

// A Page asks for one part of a list.
type Page struct {
	Size  int    // 1..MaxPageSize
	After string // the Next of the part before; "" asks for the first
}

// ParsePage reads page_size and page_token from a query. It returns ErrInvalid
// for values out of range.
func ParsePage(q url.Values) (Page, error) {
	p := Page{Size: DefaultPageSize, After: q.Get("page_token")}
	if len(p.After) > maxPageToken {
		return Page{}, Invalid("page_token", "not one of ours")
	}
	if text := q.Get("page_size"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > MaxPageSize {
			return Page{}, Invalid("page_size", "a number from 1 to "+strconv.Itoa(MaxPageSize))
		}
		p.Size = n
	}
	return p, nil
}

// A List is one part of a list.
type List[T any] struct {
	Items Array[T] `json:"items"`
	Next  string   `json:"next_page_token,omitempty"` // "" on the last part
}

// NextURL returns u with the token of the next part, "" after the last.
func NextURL(u *url.URL, token string) string {
	if token == "" {
		return ""
	}
	q := u.Query()
	q.Set("page_token", token)
	return u.Path + "?" + q.Encode()
}

// ParseFlag reads true or false from a query; absent is false. It returns ErrInvalid
// for anything else.
func ParseFlag(q url.Values, name string) (bool, error) {
	switch q.Get(name) {
	case "true":
		return true, nil
	case "", "false":
		return false, nil
	default:
		return false, Invalid(name, "true or false")
	}
}
