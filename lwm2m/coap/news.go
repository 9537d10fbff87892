package coap

import (
	"log/slog"
	"slices"
)

// A notification is one that waits to be delivered.
type notification struct {
	of    *Observation
	first *reply // its first block
}

// notified takes a notification. The lock is held.
func (e *Engine) notified(o *Observation, m *Message, f *fields) {
	if f.unknown || f.block2.szx == szxReserved {
		return
	}
	if !f.hasObserve || !m.Code.IsSuccess() {
		e.watches.remove(o) // the last
	} else if !o.fresh(f.observe) {
		return
	}
	l := e.link(o.peer)
	if i := overtaken(l.news, o, e.news >= maxAllNews); i >= 0 {
		l.news = slices.Delete(l.news, i, i+1)
		e.news--
		e.stats.Overtaken++
	}
	l.news = append(l.news, notification{o, f.response(m)})
	e.news++
	if !l.delivering {
		l.delivering = true
		e.assign(l)
	}
}

// keptNews is the room for notifications that a link keeps when it is quiet.
const keptNews = 4

// overtaken returns which of the notifications of a peer gives way to a new one
// of o, -1 for none: the oldest of o, if there is any, when those of o, of the
// peer or of all are too many.
func overtaken(news []notification, o *Observation, full bool) int {
	if len(news) == 0 || (len(news) < maxQueued && !full) {
		return -1
	}
	own, oldest := 0, -1
	for i, n := range news {
		if n.of == o {
			own++
			if oldest < 0 {
				oldest = i
			}
		}
	}
	if own < maxQueued && len(news) < maxNews && !full {
		return -1
	}
	return max(oldest, 0)
}

// run implements task: it delivers the notifications of a peer, one at a time.
// When others wait for a worker, it gives way after each.
func (l *link) run(e *Engine) {
	for n := 0; ; n++ {
		e.mu.Lock()
		if l.gone || len(l.news) == 0 {
			l.delivering = false
			if cap(l.news) > keptNews {
				l.news = nil
			}
			e.tidy(l)
			e.mu.Unlock()
			return
		}
		if w := &e.workers; n > 0 && len(w.backlog) > 0 {
			w.backlog = append(w.backlog, l)
			e.mu.Unlock()
			return
		}
		first := l.news[0]
		l.news = slices.Delete(l.news, 0, 1)
		e.news--
		e.mu.Unlock()
		first.of.deliver(first.first)
	}
}

// deliver completes a notification and hands it over.
func (o *Observation) deliver(first *reply) {
	r, err := o.complete(first)
	if err != nil {
		o.e.o.Log.LogAttrs(life{o.e.done}, slog.LevelInfo, "notification incomplete",
			slog.String("peer", o.peer.String()), slog.Any("reason", err))
		return
	}
	o.e.mu.Lock()
	wanted := o.state != over
	o.e.mu.Unlock()
	if wanted {
		o.notify(r)
	}
}

// complete fetches the other blocks of a notification (RFC 7959 §3.4).
func (o *Observation) complete(first *reply) (*Response, error) {
	if first.whole() {
		return &first.Response, nil
	}
	r, err := o.thawed()
	if err != nil {
		return nil, err
	}
	t := &transfer{e: o.e, peer: o.peer, request: r, szx: o.e.szx}
	return t.download(life{o.e.done}, first)
}
