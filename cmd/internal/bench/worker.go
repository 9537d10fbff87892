package bench

import "time"

// A worker does one operation at a time.
type worker struct {
	answers chan reply
	timer   *time.Timer
	repeats int
	scratch []byte
}

func newWorker() *worker {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &worker{answers: make(chan reply, 1), timer: t}
}

// answered implements waiter.
func (w *worker) answered(r reply) {
	select {
	case w.answers <- r:
	default:
	}
}

// begin makes the message of an operation in scratch, sends it and names who
// waits for its answer. The caller holds mu.
func (d *device) begin(build builder, scratch []byte, wait waiter) ([]byte, error) {
	if !d.connected {
		return scratch, errNotConnected
	}
	d.id++
	m, err := build(d, d.id)
	if err != nil {
		return scratch, err
	}
	if scratch, err = m.Append(scratch[:0]); err != nil {
		return scratch, err
	}
	d.wait, d.waitID, d.waitEmpty = wait, d.id, !m.Code.IsRequest()
	d.trace.begins()
	if err = d.send(scratch); err != nil {
		d.wait = nil
	}
	return scratch, err
}

// do sends what build makes until it is answered.
func (w *worker) do(d *device, build builder) (reply, error) {
	select {
	case <-w.answers: // late, of the operation before
	default:
	}
	d.mu.Lock()
	var err error
	w.scratch, err = d.begin(build, w.scratch, w)
	d.mu.Unlock()
	for sent := 1; ; sent++ {
		if err != nil {
			return reply{}, err
		}
		w.timer.Reset(ackTimeout << (sent - 1))
		select {
		case r := <-w.answers:
			w.timer.Stop()
			return r, nil
		case <-w.timer.C:
		}
		d.mu.Lock()
		if sent == d.socket.g.patience {
			d.wait = nil
			d.mu.Unlock()
			return reply{}, errNoAnswer
		}
		w.repeats++
		err = d.send(w.scratch)
		d.mu.Unlock()
	}
}
