package explore_test

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"steward/est"
	"steward/transfer"
)

// A node is a state of the whole world. Devices are alike: their order carries no
// meaning, so cells are kept sorted.
type node struct {
	b         [2]uint8 // Alpha's batch, Beta's; interned
	phase     uint8
	loss      uint8
	crash     uint8
	withdrawn bool
	asked     uint8     // for which later end of the window Alpha's operator has asked last
	offers    uint8     // how many may still expire
	cells     [2]uint32 // interned; the second is none where there is one device only
}

// A graph is what was explored.
type graph struct {
	*model

	cells   []cell
	cellIDs map[cell]uint32
	whole   []batch
	wholes  map[batch]uint8
	nodes   []node
	ids     map[node]int32
	parent  []int32
	label   []string
	fair    [][2]int32 // edges
	edges   int
	full    bool  // the limit was not reached
	last    int32 // else: the first that was not expanded
	trace   string
	reduced *reduction // nil: states of a device are all told apart
}

// memory is what an exploration takes, in bytes, while it can do with that.
const memory = 5 << 30

func explore(m *model) *graph {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // nearly all of it stays
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(memory))
	g := &graph{
		model: m, cellIDs: map[cell]uint32{}, ids: map[node]int32{}, cells: make([]cell, 1),
		whole: make([]batch, 1), wholes: map[batch]uint8{{}: 0},
	}
	first := cell{dev: m.x.first(), at: sp1, data: sp1}
	first.out.state, first.in.state = m.stateID(transfer.RowListed), m.stateID(transfer.RowListed)
	first.own[sp1] = owned
	op := m.x.keyID(keyOf("operational").Public())
	cert := m.x.issue(sp1, op)
	first.right[sp1] = right{state: est.RightConsumed, spki: op, issued: cert, live: 1 << cert}
	start := node{loss: m.losses, crash: m.crashes}
	if m.expire {
		start.offers = 2
	}
	start.b[0] = g.batchID(batch{state: transfer.BatchDraft})
	for i := range m.devices {
		start.cells[i] = g.cellID(first)
	}
	if m.reduce {
		g.reduced = reduce(g)
	}
	g.visit(start, -1, "")
	for i := 0; i < len(g.nodes) && g.trace == ""; i++ {
		if m.limit > 0 && len(g.nodes) >= m.limit {
			g.last = int32(i)
			return g
		}
		g.expandNode(int32(i))
	}
	g.full = true
	return g
}

// depth is how many steps were explored in full.
func (g *graph) depth() int {
	steps := 0
	for i := g.parent[g.last]; i >= 0; i = g.parent[i] {
		steps++
	}
	return steps
}

func (g *graph) cellID(c cell) uint32 {
	if id, ok := g.cellIDs[c]; ok {
		return id
	}
	g.cells = append(g.cells, c)
	g.cellIDs[c] = uint32(len(g.cells) - 1)
	return g.cellIDs[c]
}

func (g *graph) batchID(b batch) uint8 {
	if id, ok := g.wholes[b]; ok {
		return id
	}
	if what := g.refusesBatch(b); what != "" {
		g.fault("%s", what)
	}
	g.whole = append(g.whole, b)
	g.wholes[b] = uint8(len(g.whole) - 1)
	return g.wholes[b]
}

// of returns the batch of a provider.
func (g *graph) of(n *node, sp uint8) batch { return g.whole[n.b[sp-1]] }

// visit names a node, and looks for what it breaks when it is new.
func (g *graph) visit(n node, from int32, label string) int32 {
	if g.reduced != nil {
		for i, c := range n.cells {
			if c != 0 {
				n.cells[i] = g.reduced.stands(c, g.budget(n.loss, n.crash))
			}
		}
	}
	if n.cells[1] != 0 && n.cells[0] > n.cells[1] {
		n.cells[0], n.cells[1] = n.cells[1], n.cells[0]
	}
	if id, ok := g.ids[n]; ok {
		return id
	}
	id := int32(len(g.nodes))
	g.nodes, g.parent, g.label = append(g.nodes, n), append(g.parent, from), append(g.label, label)
	g.ids[n] = id
	for _, c := range n.cells {
		if c == 0 || g.trace != "" {
			continue
		}
		if what := g.defect(&g.cells[c], n.phase); what != "" {
			g.trace = what + "\n" + g.path(id)
		}
	}
	return id
}

// path tells the shortest way to a node in words.
func (g *graph) path(id int32) string {
	var lines []string
	for i := id; i >= 0; i = g.parent[i] {
		lines = append(lines, fmt.Sprintf("%s\n        %s", cmp.Or(g.label[i], "begin"), g.describe(g.nodes[i])))
	}
	slices.Reverse(lines)
	var b strings.Builder
	for i, l := range lines {
		fmt.Fprintf(&b, "  %3d %s\n", i, l)
	}
	return b.String()
}

func (g *graph) describe(n node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s | %s | %s]", g.of(&n, sp1).state, cmp.Or(g.of(&n, sp2).state, "unknown"), phaseNames[n.phase])
	for _, id := range n.cells {
		if id == 0 {
			continue
		}
		c := &g.cells[id]
		fmt.Fprintf(&b, " device %s at %s, Alpha %s %v CA1 %s, Beta %s %v CA2 %s;", g.dev(c).status.State, names[c.at],
			g.state(c.out), g.pending(c.out), c.right[sp1].state, g.state(c.in), g.pending(c.in),
			cmp.Or(c.right[sp2].state, "none"))
	}
	return b.String()
}

// goal reports whether every device has arrived.
func (g *graph) goal(n node) bool {
	for _, id := range n.cells {
		if id != 0 && !g.arrived(&g.cells[id]) {
			return false
		}
	}
	return true
}

// stuck returns a node from which no fair way leads to the goal: I1. It is the one
// reached first.
func (g *graph) stuck() (int32, bool) {
	back := g.backwards()
	good := make([]bool, len(g.nodes))
	var queue []int32
	for i, n := range g.nodes {
		if g.goal(n) {
			good[i], queue = true, append(queue, int32(i))
		}
	}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, from := range back(i) {
			if !good[from] {
				good[from], queue = true, append(queue, from)
			}
		}
	}
	i := slices.Index(good, false)
	return int32(i), i >= 0
}

// backwards returns from where fair edges lead to a node.
func (g *graph) backwards() func(int32) []int32 {
	begin := make([]int32, len(g.nodes)+1)
	for _, e := range g.fair {
		begin[e[1]+1]++
	}
	for i := range g.nodes {
		begin[i+1] += begin[i]
	}
	from, next := make([]int32, len(g.fair)), slices.Clone(begin)
	for _, e := range g.fair {
		from[next[e[1]]] = e[0]
		next[e[1]]++
	}
	return func(i int32) []int32 { return from[begin[i]:begin[i+1]] }
}

// expandNode visits what follows a node.
func (g *graph) expandNode(id int32) {
	n := g.nodes[id]
	b1, b2 := g.of(&n, sp1), g.of(&n, sp2)
	at := when(&b1, &b2, n.phase)
	for i, c := range n.cells {
		if c == 0 || i == 1 && n.cells[0] == c { // both are alike: one of them is enough
			continue
		}
		what := g.next(c, &n, at)
		if what.broke != "" && g.trace == "" {
			g.trace = what.broke + "\nnext after\n" + g.path(id)
		}
		for _, mv := range what.moves {
			if mv.loss > n.loss || mv.crash > n.crash {
				continue
			}
			next := n
			next.loss, next.crash = n.loss-mv.loss, n.crash-mv.crash
			next.cells[i] = g.cellID(mv.to)
			if mv.who == sp1 || mv.who == sp2 {
				g.crash(&next, mv.who)
			}
			if mv.catchUp != 0 {
				next.b[1] = g.batchID(g.showsBeta(g.of(&next, sp2), mv.catchUp))
			}
			g.follow(id, next, !mv.unfair, mv.label)
		}
	}
	g.batches(id, n)
}

// next is what may happen to a cell.
func (g *graph) next(c uint32, n *node, at moment) *expanded {
	if g.reduced != nil {
		return g.reduced.movesOf(c, g.budget(n.loss, n.crash), at)
	}
	return g.movesOf(g.cells[c], at)
}

func (g *graph) follow(from int32, n node, fair bool, label string) {
	to := g.visit(n, from, label)
	g.edges++
	if fair && to != from {
		g.fair = append(g.fair, [2]int32{from, to})
	}
}

// crash loses what a provider has in memory only, about all devices.
func (g *graph) crash(n *node, sp uint8) {
	for i, id := range n.cells {
		if id != 0 {
			c := g.cells[id]
			g.forget(&c, sp)
			n.cells[i] = g.cellID(c)
		}
	}
}

// with returns n with other cells.
func (g *graph) with(n node, cells []cell) node {
	for i, c := range cells {
		n.cells[i] = g.cellID(c)
	}
	return n
}

func (g *graph) list(n node) (out []cell) {
	for _, id := range n.cells {
		if id != 0 {
			out = append(out, g.cells[id])
		}
	}
	return out
}

// batches visits what follows a node by people, by time, and by the transfers as a
// whole.
func (g *graph) batches(id int32, n node) {
	if n.phase+1 < phases {
		next := n
		next.phase = g.following(n.phase)
		g.follow(id, next, true, "time passes: "+phaseNames[next.phase])
	}
	for sp := uint8(sp1); sp <= sp2; sp++ {
		if n.crash > 0 {
			next := n
			next.crash--
			g.crash(&next, sp)
			if next.cells != n.cells {
				g.follow(id, next, false, names[sp]+" crashes")
			}
		}
		b := g.of(&n, sp)
		if b.state == "" {
			continue
		}
		if b.pending != "" && !b.late(sp, n.phase) {
			g.perform(id, n, sp)
		} else if next := g.advance(b, sp, g.list(n), n.phase); next != b {
			after := n
			after.b[sp-1] = g.batchID(next)
			g.follow(id, after, true, fmt.Sprintf("%s's transfer goes on: %s", names[sp], next.state))
		}
		g.people(id, n, sp)
	}
}

// people decide.
func (g *graph) people(id int32, n node, sp uint8) {
	b := g.of(&n, sp)
	act := func(label string, on transfer.BatchEvent, fair bool) {
		next, after := n, g.turn(b, sp, on)
		if on == transfer.BatchSend {
			next = g.each(n, g.tell)
		}
		if on == transfer.BatchResume {
			after.paused, after.failed = false, uint8(g.tally(g.list(n), sp1).failed)
		}
		next.b[sp-1] = g.batchID(after)
		next.withdrawn = n.withdrawn || on == transfer.BatchCancel
		g.follow(id, next, fair, label)
	}
	switch {
	case sp == sp1 && b.state == transfer.BatchDraft:
		act("Alpha's operator submits", transfer.BatchSend, true)
	case sp == sp2 && b.state == transfer.BatchInfoAccepted:
		act("Beta's operator approves", transfer.BatchOffer, true)
	case sp == sp1 && b.state == transfer.BatchOffered:
		act("Alpha's operator approves", transfer.BatchApprove, true)
	case sp == sp1 && b.paused && b.state == transfer.BatchSwitching:
		act("Alpha's operator resumes", transfer.BatchResume, true)
	}
	if g.revise && sp == sp1 {
		g.revises(id, n)
	}
	if g.extend > 0 {
		g.extends(id, n, sp)
	}
	if g.expire && b.state == transfer.BatchOffered {
		g.offerOver(id, n, sp)
	}
	if g.withdraw && !n.withdrawn && in(b.state, beforeSwitching...) {
		act(names[sp]+"'s operator withdraws", transfer.BatchCancel, false)
	}
}

var beforeSwitching = []transfer.BatchState{
	transfer.BatchDraft, transfer.BatchInfoSent, transfer.BatchInfoAccepted, transfer.BatchOffered,
	transfer.BatchApproved, transfer.BatchStaging, transfer.BatchArmed,
}

// perform performs the first pending effect of a batch.
func (g *graph) perform(id int32, n node, sp uint8) {
	b := g.of(&n, sp)
	letter := b.pending[0]
	b.pending = b.pending[1:]
	done := n
	done.b[sp-1] = g.batchID(b)
	label := names[sp] + "'s transfer: "
	switch letter {
	case 'r', 'e':
		on := transfer.RowAbort
		if letter == 'e' {
			on = transfer.RowExpire
		}
		cells := g.list(n)
		g.endRows(cells, sp, on)
		g.follow(id, g.with(done, cells), true, label+"ends its rows")
	case 'a':
		for _, c := range g.list(n) {
			if g.state(c.in) == transfer.RowListed {
				return
			}
		}
		g.follow(id, done, true, label+"all rights are granted")
	case 'i':
		g.postInfo(id, n, b)
	case 'o':
		g.postOffer(id, n, b)
	case 't':
		if b.state == transfer.BatchApproved {
			g.tellApproved(id, n, b)
		} else {
			g.tellEnd(id, n, b, sp)
		}
	case 'k':
		g.postAsk(id, n, b)
	case 'x':
		g.postAgreement(id, n, b)
	}
}

// exchange follows a call about the transfer: answered, or in vain.
func (g *graph) exchange(id int32, n, received, answered node, label string) {
	g.follow(id, answered, true, label)
	if n.loss > 0 {
		received.loss--
		g.follow(id, received, false, label+", answer lost")
	}
}

// judged is Beta's batch after it has judged the info.
func (g *graph) judged(on transfer.BatchEvent, revised uint8) uint8 {
	b := g.turn(batch{state: transfer.BatchInfoSent, revised: revised}, sp2, on)
	return g.batchID(withoutTell(b)) // the answer tells Alpha
}

func (g *graph) postInfo(id int32, n node, done batch) {
	received := n
	beta := g.of(&n, sp2)
	known := beta.state != ""
	switch {
	case !known:
		received = g.each(n, g.judge)
		received.b[1] = g.judged(transfer.BatchAnswer, done.revised)
	case beta.revised != done.revised:
		g.postRevision(id, n, done)
		return
	}
	g.answered(id, n, received, done)
	if known || !g.withdraw {
		return
	}
	refused := n
	refused.b[1] = g.judged(transfer.BatchRefuse, done.revised)
	refused.b[0] = g.batchID(g.turn(done, sp1, transfer.BatchRefuse))
	cells := g.list(n)
	for i := range cells {
		g.fire(&cells[i], sp1, transfer.RowReject)
		g.fire(&cells[i], sp2, transfer.RowReject)
	}
	g.follow(id, g.with(refused, cells), false, "Beta accepts no device")
}

func (g *graph) postOffer(id int32, n node, done batch) {
	received, alpha := n, g.of(&n, sp1)
	switch alpha.state {
	case transfer.BatchInfoSent: // the answer to the info was lost
		return
	case transfer.BatchInfoAccepted:
		received.b[0] = g.batchID(g.turn(alpha, sp1, transfer.BatchOffer))
	case transfer.BatchCancelled, transfer.BatchExpired: // declined
		declined := n
		declined.b[1] = g.batchID(g.turn(done, sp2, transfer.BatchOfferOver))
		g.follow(id, declined, true, "Alpha declines the offer")
		return
	default:
	}
	answered := received
	answered.b[1] = g.batchID(done)
	g.exchange(id, n, received, answered, "Beta posts the offer")
}

func (g *graph) tellEnd(id int32, n node, done batch, sp uint8) {
	received, other := n, 3-sp
	if b := g.of(&n, other); b.state != "" && !in(b.state, transfer.BatchFinal()...) &&
		g.takes(b, transfer.BatchCancel) {
		b = g.turn(b, other, transfer.BatchCancel)
		received.b[other-1] = g.batchID(withoutTell(b))
	}
	answered := received
	answered.b[sp-1] = g.batchID(done)
	g.exchange(id, n, received, answered, names[sp]+" tells that the transfer has ended")
}
