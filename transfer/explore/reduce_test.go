package explore_test

import (
	"fmt"
	"slices"

	"steward/transfer"
)

// A reduction says which states of one device need not be told apart, so that two
// devices can be explored completely. A device and the rest of the world know of each
// other only by moments, by what tally counts, and by what both spend of losses and
// crashes: a branching bisimulation that holds in every moment keeps all invariants of
// the product, and whether a fair way leads to the goal (van Glabbeek and Weijland,
// 1996). It is found by refinement of signatures (Blom and Orzan, 2003), over all
// states of one device, whatever the other one does: first of those that lead to the
// same at once, then of those that lead to it by steps of which nobody takes notice.
type reduction struct {
	*graph

	moments []moment
	ids     map[cell]int32
	all     []cell
	links   []links
	kinds   map[kind]int32
	kindOf  []kind
	shown   map[int32]string
	near    []partition // by budget
	far     []partition // by budget
	known   [][]uint32  // by budget and cell
	moved   map[moving]*expanded
}

// A partition is the block of each state, and the state that stands for a block.
type partition struct{ block, first map[int32]int32 }

type moving struct {
	cell   uint32
	budget int
	at     moment
}

// links are where a state leads, by moment; the last list is of no moment.
type links struct {
	since uint8 // phase
	met   []*expanded
	lists [][]link
	of    []uint8 // by moment: one of lists; the first is that of moments before since
}

// A link leads to another state. A kind is what the world notices of it.
type link struct{ kind, to int32 }

type kind struct {
	loss, crash, who, catchUp uint8
	unfair                    bool
	common                    string // what all rows of a transfer undergo at once
	broke                     string
}

func (mv *move) kind() kind {
	return kind{loss: mv.loss, crash: mv.crash, who: mv.who, catchUp: mv.catchUp, unfair: mv.unfair}
}

// silent reports whether nobody but the device notices, fair whether that happens if
// one waits.
func (k kind) silent() bool { return k == kind{} || k == kind{unfair: true} }
func (k kind) fair() bool   { return !k.unfair }

// budgets are the losses and crashes that are left, as one number.
func (m *model) budgets() int { return (int(m.losses) + 1) * (int(m.crashes) + 1) }

func (m *model) budget(loss, crash uint8) int { return int(loss)*(int(m.crashes)+1) + int(crash) }

// after is the budget that a link leaves.
func (m *model) after(budget int, k kind) (int, bool) {
	loss, crash := uint8(budget/(int(m.crashes)+1)), uint8(budget%(int(m.crashes)+1))
	if k.loss > loss || k.crash > crash {
		return 0, false
	}
	return m.budget(loss-k.loss, crash-k.crash), true
}

// reduce finds all states of one device and refines them.
func reduce(g *graph) *reduction {
	r := &reduction{
		graph: g, ids: map[cell]int32{}, kinds: map[kind]int32{}, shown: map[int32]string{},
		known: make([][]uint32, g.budgets()), moved: map[moving]*expanded{}, moments: momentsOf(g.setting),
	}
	reached := r.reach()
	for b := range g.budgets() {
		r.near = append(r.near, partition{})
		r.refine(&r.near[b], reached[b], func(s int32) string { return r.nearSignature(b, s) })
	}
	for b := range g.budgets() {
		var states []int32
		for _, s := range reached[b] {
			if r.near[b].stands(s) == s {
				states = append(states, s)
			}
		}
		r.far = append(r.far, partition{})
		r.refine(&r.far[b], states, func(s int32) string { return r.farSignature(b, s) })
	}
	return r
}

// String tells how much was put together: with all losses and crashes left, and with
// none.
func (r *reduction) String() string {
	most, none := r.budgets()-1, 0
	return fmt.Sprintf("%d states of one device stand for %d, %d for %d once nothing more is lost",
		len(r.far[most].first), len(r.near[most].block), len(r.far[none].first), len(r.near[none].block))
}

func (p *partition) stands(s int32) int32 { return p.first[p.block[s]] }

// momentsOf are all moments that two transfers can make.
func momentsOf(s setting) (out []moment) {
	for phase := uint8(inWindow); phase < phases; phase = s.following(phase) {
		out = append(out, moment{phase: phase}, moment{over: true, phase: phase})
		for _, at := range []moment{
			{}, {stages: true}, {stages: true, asking: true}, {stages: true, commits: true}, {over: true},
		} {
			if at.asking && !s.revise {
				continue
			}
			at.told, at.phase = true, phase
			for _, there := range []moment{{}, {grants: true}, {overThere: true}} {
				at.grants, at.overThere = there.grants, there.overThere
				for at.movedThere = range s.extend + 1 {
					for at.moved = range at.movedThere + 1 {
						out = append(out, at)
					}
				}
				at.moved, at.movedThere = 0, 0
			}
		}
	}
	return out
}

func (r *reduction) id(c cell) int32 {
	if id, ok := r.ids[c]; ok {
		return id
	}
	r.all = append(r.all, c)
	r.ids[c] = int32(len(r.all) - 1)
	return r.ids[c]
}

func (r *reduction) kind(k kind) int32 {
	if id, ok := r.kinds[k]; ok {
		return id
	}
	r.kindOf = append(r.kindOf, k)
	r.kinds[k] = int32(len(r.kindOf) - 1)
	return r.kinds[k]
}

// reach returns the states that one device can be in, by what is left to be lost.
func (r *reduction) reach() [][]int32 {
	type spot struct {
		id                 int32
		loss, crash, phase uint8
	}
	reached := make([][]int32, r.budgets())
	seen := map[spot]bool{}
	var queue []spot
	visit := func(s spot) {
		if !seen[s] {
			seen[s], queue = true, append(queue, s)
			b := r.budget(s.loss, s.crash)
			if k := (spot{id: s.id, loss: s.loss, crash: s.crash, phase: phases}); !seen[k] {
				seen[k], reached[b] = true, append(reached[b], s.id)
			}
		}
	}
	for loss := range r.losses + 1 { // the other device may have spent the rest
		for crash := range r.crashes + 1 {
			visit(spot{r.id(r.cells[1]), loss, crash, inWindow})
		}
	}
	for i := 0; i < len(queue); i++ {
		s := queue[i]
		for int(s.id) >= len(r.links) {
			r.links = append(r.links, links{since: phases})
		}
		r.follows(s.id, s.phase)
		from := r.links[s.id]
		for i, list := range from.of {
			phase := s.phase
			if i < len(r.moments) {
				phase = r.moments[i].phase
			}
			if phase < s.phase || i > 0 && i < len(r.moments) && list == from.of[i-1] && phase == r.moments[i-1].phase {
				continue
			}
			for _, l := range from.lists[list] {
				if k := r.kindOf[l.kind]; k.loss <= s.loss && k.crash <= s.crash {
					visit(spot{l.to, s.loss - k.loss, s.crash - k.crash, phase})
				}
			}
		}
	}
	return reached
}

// follows finds the links of a state from a phase on.
func (r *reduction) follows(id int32, since uint8) {
	out := r.links[id]
	if since >= out.since {
		return
	}
	if out.since == phases {
		out.met, out.lists = make([]*expanded, 2), [][]link{nil, r.together(id)}
		out.of = make([]uint8, len(r.moments)+1)
		out.of[len(r.moments)] = 1
	}
	for i, at := range r.moments {
		if at.phase < since || at.phase >= out.since {
			continue
		}
		what := r.model.movesOf(r.all[id], at)
		j := slices.Index(out.met, what)
		if j < 0 {
			j, out.met = len(out.met), append(out.met, what)
			out.lists = append(out.lists, r.linksOf(id, what))
		}
		out.of[i] = uint8(j)
	}
	out.since = since
	r.links[id] = out
}

func (r *reduction) linksOf(id int32, what *expanded) (out []link) {
	if what.broke != "" {
		out = append(out, link{r.kind(kind{broke: what.broke}), id})
	}
	for _, mv := range what.moves {
		out = append(out, link{r.kind(mv.kind()), r.id(r.arrives(&mv))})
	}
	return out
}

// arrives is where a move leads, after the crash that it may be.
func (r *reduction) arrives(mv *move) cell {
	to := mv.to
	if mv.who == sp1 || mv.who == sp2 {
		r.forget(&to, mv.who)
	}
	return to
}

// together are the links by what befalls all rows at once.
func (r *reduction) together(id int32) (out []link) {
	for sp := uint8(sp1); sp <= sp2; sp++ {
		if r.crashes > 0 {
			c := r.all[id]
			r.forget(&c, sp)
			out = append(out, link{r.kind(kind{crash: 1, who: sp, common: "crash"}), r.id(c)})
		}
		for _, on := range []transfer.RowEvent{transfer.RowAbort, transfer.RowExpire} {
			cells := []cell{r.all[id]}
			r.endRows(cells, sp, on)
			out = append(out, link{r.kind(kind{who: sp, common: string(on)}), r.id(cells[0])})
		}
	}
	for i, change := range []func(*cell){r.tell, r.judge, r.hear} {
		if r.revise {
			c := r.all[id]
			change(&c)
			out = append(out, link{r.kind(kind{common: fmt.Sprint("revision ", i)}), r.id(c)})
		}
	}
	c := r.all[id]
	if r.accepts(&c, sp1, transfer.RowReject) && r.accepts(&c, sp2, transfer.RowReject) {
		r.fire(&c, sp1, transfer.RowReject)
		r.fire(&c, sp2, transfer.RowReject)
		out = append(out, link{r.kind(kind{common: string(transfer.RowReject)}), r.id(c)})
	}
	return out
}
