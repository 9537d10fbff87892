package explore_test

import (
	"slices"

	"steward/transfer"
)

// What a device may run: nothing that a manifest names, or what a campaign gave it.
var (
	updatedTo = transfer.HashOf([]byte("manifest"))
	runs      = [][]transfer.Installed{nil, {{Digest: transfer.NewCertHash(updatedTo), Sequence: 1}}}
	told      = [][]transfer.ManifestRef{nil, {{Digest: transfer.NewCertHash(updatedTo), Sequence: 1}}}
)

// update is a campaign of Alpha's that reaches the device, at any time at which the
// device lets itself be updated.
func (e *expansion) update() {
	s := e.dev(&e.from)
	if s.runs != 0 || s.busy || e.from.at != sp1 || !e.permitted(s, sp1, transfer.OpWrite, transfer.AtFirmware) {
		return
	}
	c := e.from
	to, err := e.x.do(c.dev, "updated", func(*transfer.Device) error {
		e.x.runs = 1
		return nil
	})
	if err != nil {
		e.fault("an update: %v", err)
	}
	c.dev = to
	e.add("Alpha's campaign updates the device", c, move{unfair: true})
}

// outdated reports whether the device runs something else than Alpha tells of it.
func (m *model) outdated(c *cell) bool { return m.dev(c).runs != c.out.told }

// asTold reports whether the device runs what Beta was told, and has accepted.
func (e *expansion) asTold(c *cell) bool { return !e.revise || !e.outdated(c) && !e.asking() }

// tell is the information as Alpha signs it now.
func (m *model) tell(c *cell) { c.out.told = m.dev(c).runs }

// judge is Beta's judgement of what it is told of the device, once more.
func (m *model) judge(c *cell) {
	c.in.told, c.in.refused = c.out.told, false
	s := m.state(c.in)
	runsElse := s == transfer.RowReady &&
		!transfer.SameManifests(m.foreign(c.in.ready).Body.Installed, told[c.in.told])
	if c.in.refused = ended(s) || runsElse; runsElse {
		m.refuse(c, sp2)
	}
}

// refuse takes a device out that is not accepted, or not any more.
func (m *model) refuse(c *cell, sp uint8) {
	for _, on := range []transfer.RowEvent{transfer.RowReject, transfer.RowAbort} {
		if m.accepts(c, sp, on) {
			m.fire(c, sp, on)
			break
		}
	}
	r := c.row(sp)
	r.pending = m.pendingID(slices.DeleteFunc(slices.Clone(m.pending(*r)), func(do transfer.RowEffect) bool {
		return do == transfer.RowTellClosed
	}))
}

// hear is Beta's answer, at Alpha.
func (m *model) hear(c *cell) {
	if c.in.refused && !ended(m.state(c.out)) {
		m.refuse(c, sp1)
	}
}

// each returns n with every cell changed.
func (g *graph) each(n node, change func(*cell)) node {
	cells := g.list(n)
	for i := range cells {
		change(&cells[i])
	}
	return g.with(n, cells)
}

// revises is Alpha's people who tell anew what the devices run, once one runs something
// else. While Beta is told of an approval they cannot.
func (g *graph) revises(id int32, n node) {
	b := g.of(&n, sp1)
	cells := g.list(n)
	if b.state == transfer.BatchApproved || !g.takes(b, transfer.BatchRevise) ||
		!slices.ContainsFunc(cells, func(c cell) bool { return g.outdated(&c) }) {
		return
	}
	next := g.each(n, g.tell)
	next.b[0] = g.batchID(g.revised(b, sp1))
	g.follow(id, next, true, "Alpha's operator tells anew what the devices run")
}

// revised is a batch whose information is another by now: before the devices are staged,
// its offer is void.
func (g *graph) revised(b batch, sp uint8) batch {
	staging := b.state == transfer.BatchStaging
	b = g.turn(b, sp, transfer.BatchRevise)
	if b.revised++; !staging {
		b.asked, b.moved = 0, 0
	}
	return b
}

// answer is a batch after Beta's answer.
func (g *graph) answer(b batch, sp uint8, n node) batch {
	refused := !slices.ContainsFunc(g.list(n), func(c cell) bool { return !c.in.refused })
	on := transfer.BatchAnswer
	if refused && b.state != transfer.BatchStaging {
		on = transfer.BatchRefuse
	}
	return g.turn(b, sp, on)
}

// postRevision posts what Beta has not been told yet.
func (g *graph) postRevision(id int32, n node, done batch) {
	beta := g.of(&n, sp2)
	if !g.takes(beta, transfer.BatchRevise) {
		if g.takes(done, transfer.BatchRefuse) { // otherwise it tries again until its window is over
			declined := n
			declined.b[0] = g.batchID(g.turn(done, sp1, transfer.BatchRefuse))
			g.follow(id, declined, true, "Beta declines to be told anew")
		}
		return
	}
	received := g.each(n, g.judge)
	beta = g.revised(beta, sp2)
	beta.revised = done.revised
	received.b[1] = g.batchID(withoutTell(g.answer(beta, sp2, received)))
	g.answered(id, n, received, done)
}

// answered is Beta's answer to the information, known or lost.
func (g *graph) answered(id int32, n, received node, done batch) {
	answered := g.each(received, g.hear)
	answered.b[0] = g.batchID(g.answer(done, sp1, received))
	g.exchange(id, n, received, answered, "Alpha posts the info")
}

// tellApproved tells Beta that its offer is approved.
func (g *graph) tellApproved(id int32, n node, done batch) {
	received, answered := n, n
	received.b[1] = g.batchID(g.showsBeta(g.of(&n, sp2), showsReady))
	answered.b[1] = received.b[1]
	answered.b[0] = g.batchID(done)
	g.exchange(id, n, received, answered, "Alpha tells of its approval")
}
