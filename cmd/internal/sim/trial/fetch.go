package trial

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/objects"
)

// A fetch is a package that a server names by its URI (Core 1.2.2 §E.6).
type fetch struct {
	uri  string
	done func(raw []byte, result objects.FirmwareResult)
}

const (
	maxFetches = 4                // under way or waiting
	fetchTime  = 30 * time.Minute // of one: a radio is slow
)

// pull has a package fetched, and reports whether there is room.
func (d *Device) pull(uri string, done func([]byte, objects.FirmwareResult)) bool {
	select {
	case d.now().fetches <- fetch{uri, done}:
		return true
	default:
		return false
	}
}

// download fetches packages, one after the other, until ctx ends.
func (l *life) download(ctx context.Context) {
	for {
		select {
		case f := <-l.fetches:
			limited, cancel := context.WithTimeout(ctx, fetchTime)
			raw, result := l.get(limited, f.uri)
			cancel()
			if ctx.Err() == nil {
				f.done(raw, result)
			}
		case <-ctx.Done():
			return
		}
	}
}

// get fetches what a URI names.
func (l *life) get(ctx context.Context, uri string) ([]byte, objects.FirmwareResult) {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "":
		return nil, objects.FirmwareInvalidURI
	case !slices.Contains(schemes, u.Scheme):
		return nil, objects.FirmwareUnsupportedProto
	}
	k, hangUp, err := l.reach(ctx, u)
	if err != nil {
		return nil, objects.FirmwareConnectionLost
	}
	defer hangUp()
	r := &coap.Request{Method: coap.GET, Path: strings.Split(strings.Trim(u.Path, "/"), "/")}
	if u.RawQuery != "" {
		r.Query = strings.Split(u.RawQuery, "&")
	}
	response, err := l.engine.Do(ctx, k.Peer, r)
	switch {
	case errors.Is(err, coap.ErrTooLarge):
		return nil, objects.FirmwareNoMemory
	case err != nil:
		return nil, objects.FirmwareConnectionLost
	case response.Code != coap.Content:
		return nil, objects.FirmwareInvalidURI
	}
	return response.Payload, objects.FirmwareInitial
}

// reach returns an association with the host of u: that with a server there, or one
// that hangUp ends, by what the device would prove to its first server.
func (l *life) reach(ctx context.Context, u *url.URL) (k *Link, hangUp func(), err error) {
	a := Account{Security: objects.Security{Mode: objects.ModeNoSec}, Instance: lwm2m.NoID}
	for _, known := range l.d.accounts() {
		at, err := url.Parse(known.URI)
		if err != nil || at.Scheme != u.Scheme {
			continue
		}
		if k := l.with(known.ShortServer); k != nil && at.Host == u.Host {
			return k, func() {}, nil
		}
		if a.URI == "" {
			a = known
		}
	}
	a.URI, a.ShortServer = u.Scheme+"://"+u.Host, 0
	if k, err = l.dial(ctx, a); err != nil {
		return nil, nil, err
	}
	return k, func() { l.hangUp(k) }, nil
}

// with returns the association with a server, nil if there is none.
func (l *life) with(short uint16) *Link {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.accounts {
		if l.shorts[p] == short {
			return l.links[p]
		}
	}
	return nil
}

// pullFirmware fetches what a server wrote to the Package URI.
func pullFirmware(d *Device, t *client.Table, base lwm2m.Path, uri string) {
	show := func(state objects.FirmwareState, result objects.FirmwareResult) {
		set(t, base, map[uint16]int64{objects.FirmwareStateID: int64(state), objects.FirmwareResultID: int64(result)})
	}
	show(objects.FirmwareDownloading, objects.FirmwareInitial)
	began := d.pull(uri, func(raw []byte, result objects.FirmwareResult) {
		if get(t, base, objects.FirmwareStateID) != int64(objects.FirmwareDownloading) {
			return // cancelled
		}
		state := objects.FirmwareIdle
		if result == objects.FirmwareInitial {
			state, result = receiveFirmware(t, base, raw)
		}
		show(state, result)
	})
	if !began {
		show(objects.FirmwareIdle, objects.FirmwareNoMemory)
	}
}

// pullSoftware is pullFirmware of object Software Management.
func pullSoftware(d *Device, t *client.Table, base lwm2m.Path, uri string) {
	show := func(state, result int64) {
		set(t, base, map[uint16]int64{softwareState: state, softwareResult: result})
	}
	show(softwareDownloading, softwareDownload)
	began := d.pull(uri, func(raw []byte, got objects.FirmwareResult) {
		switch got {
		case objects.FirmwareInitial:
			show(receiveSoftware(t, base, raw))
		case objects.FirmwareConnectionLost:
			show(softwareInitial, softwareConnectionLost)
		case objects.FirmwareNoMemory:
			show(softwareInitial, softwareNoMemory)
		default:
			show(softwareInitial, softwareInvalidURI)
		}
	})
	if !began {
		show(softwareInitial, softwareNoMemory)
	}
}
