package explore_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"steward/transfer"
)

// shows is what the world sees of a state, and what it breaks.
func (r *reduction) shows(id int32) string {
	if out, ok := r.shown[id]; ok {
		return out
	}
	c := r.all[id]
	one := []cell{c}
	all := []any{
		r.links[id].since, r.tally(one, sp1), r.tally(one, sp2), r.state(c.in) == transfer.RowListed, r.arrived(&c),
		r.outdated(&c), c.in.refused,
	}
	for phase := r.links[id].since; phase < phases; phase++ {
		all = append(all, r.defect(&c, phase))
	}
	r.shown[id] = fmt.Sprintf("%q", all)
	return r.shown[id]
}

// refine splits blocks until all states of each have the same signature.
func (r *reduction) refine(p *partition, states []int32, signature func(int32) string) {
	names := r.split(p, states, r.shows)
	for count := 0; count != names; {
		count, names = names, r.split(p, states, signature)
	}
	p.first = make(map[int32]int32, names)
	for _, s := range states {
		if _, ok := p.first[p.block[s]]; !ok {
			p.first[p.block[s]] = s
		}
	}
}

func (r *reduction) split(p *partition, states []int32, by func(int32) string) int {
	names, block := map[string]int32{}, make(map[int32]int32, len(states))
	for _, s := range states {
		name := by(s)
		if _, ok := names[name]; !ok {
			names[name] = int32(len(names))
		}
		block[s] = names[name]
	}
	p.block = block
	return len(names)
}

// nearSignature is where a state leads, in blocks.
func (r *reduction) nearSignature(budget int, s int32) string {
	own := r.near[budget].block[s]
	lists := make([]string, len(r.links[s].lists))
	for i, list := range r.links[s].lists {
		lists[i] = r.packed(list, func(l link) (int32, bool) {
			k := r.kindOf[l.kind]
			b, ok := r.after(budget, k)
			if !ok {
				return 0, false
			}
			to, ok := r.near[b].block[l.to]
			return to, ok && (!k.silent() || to != own)
		})
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(own))
	for _, i := range r.links[s].of {
		out = append(out, lists[i]...)
	}
	return digest(out)
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return string(h[:])
}

// packed writes links with their ends' blocks.
func (r *reduction) packed(list []link, end func(link) (int32, bool)) string {
	var out []uint64
	for _, l := range list {
		if to, ok := end(l); ok {
			out = append(out, uint64(l.kind)<<32|uint64(uint32(to)))
		}
	}
	slices.Sort(out)
	var raw []byte
	for _, v := range slices.Compact(out) {
		raw = binary.LittleEndian.AppendUint64(raw, v)
	}
	return digest(raw)
}

// farSignature is where a state leads, by steps of which nobody takes notice, too.
func (r *reduction) farSignature(budget int, s int32) string {
	own := r.far[budget].block[s]
	out := binary.LittleEndian.AppendUint32(nil, uint32(own))
	for at := range r.links[s].of {
		var all []link
		for _, near := range r.silently(budget, at, s) {
			all = append(all, r.links[near].lists[r.links[near].of[at]]...)
		}
		out = append(out, r.packed(all, func(l link) (int32, bool) {
			k := r.kindOf[l.kind]
			to, ok := r.end(budget, l)
			return to, ok && (!k.silent() || to != own)
		})...)
	}
	return digest(out)
}

// end is the block of a link's end, with what is left then. While a budget is being
// refined, others with less are done.
func (r *reduction) end(budget int, l link) (int32, bool) {
	b, ok := r.after(budget, r.kindOf[l.kind])
	if !ok {
		return 0, false
	}
	if _, ok := r.near[b].block[l.to]; !ok { // it leads there in a phase that is over by then
		return 0, false
	}
	return r.far[b].block[r.near[b].stands(l.to)], true
}

// silently are the states to which one leads by fair steps within its block.
func (r *reduction) silently(budget, at int, s int32) []int32 {
	own := r.far[budget].block[s]
	out := []int32{s}
	for i := 0; i < len(out); i++ {
		from := r.links[out[i]]
		for _, l := range from.lists[from.of[at]] {
			if k := r.kindOf[l.kind]; !k.silent() || !k.fair() {
				continue
			}
			to := r.near[budget].stands(l.to)
			if r.far[budget].block[to] == own && !slices.Contains(out, to) {
				out = append(out, to)
			}
		}
	}
	return out
}

// stands returns the cell that stands for a cell while so much is left to be lost.
func (r *reduction) stands(c uint32, budget int) uint32 {
	for len(r.known[budget]) <= int(c) {
		r.known[budget] = append(r.known[budget], 0)
	}
	out := r.known[budget][c]
	if out == 0 {
		id, met := r.ids[r.cells[c]]
		if _, level := r.near[budget].block[id]; !met || !level {
			r.tb.Fatalf("a state of a device that was not foreseen: %+v", r.cells[c])
		}
		out = r.cellID(r.all[r.far[budget].stands(r.near[budget].stands(id))])
		r.known[budget][c] = out
	}
	return out
}

// movesOf are the moves of a cell and of those to which it leads silently.
func (r *reduction) movesOf(c uint32, budget int, at moment) *expanded {
	k := moving{c, budget, at}
	if out, ok := r.moved[k]; ok {
		return out
	}
	out := &expanded{}
	met := map[link]bool{}
	i := slices.Index(r.moments, at)
	if i < 0 {
		r.tb.Fatalf("a moment that was not foreseen: %+v", at)
	}
	for _, near := range r.silently(budget, i, r.ids[r.cells[c]]) {
		what := r.model.movesOf(r.all[near], at)
		out.broke = cmp.Or(out.broke, what.broke)
		for _, mv := range what.moves {
			l := link{r.kind(mv.kind()), r.id(r.arrives(&mv))}
			to, ok := r.end(budget, l)
			if l.to = to; ok && !met[l] && (!mv.kind().silent() || to != r.far[budget].block[r.ids[r.cells[c]]]) {
				met[l], out.moves = true, append(out.moves, mv)
			}
		}
	}
	r.moved[k] = out
	return out
}
