package explore_test

import "steward/transfer"

// extends is what people do about a later end of the window: Alpha's ask for it, before
// or after an answer for one that is later still, and Beta's agree.
func (g *graph) extends(id int32, n node, sp uint8) {
	b := g.of(&n, sp)
	if n.phase > b.moved {
		return
	}
	next := n
	switch {
	case sp == sp1 && n.asked < g.extend && g.takes(b, transfer.BatchAsk):
		b = g.turn(b, sp1, transfer.BatchAsk)
		next.asked++
		b.asked = next.asked
		next.b[0] = g.batchID(b)
		g.follow(id, next, false, "Alpha's operator asks for a later end of the window")
	case sp == sp2 && b.asked != 0 && g.takes(b, transfer.BatchExtend):
		b = g.turn(b, sp2, transfer.BatchExtend)
		b.asked, b.moved = 0, b.asked
		next.b[1] = g.batchID(b)
		g.follow(id, next, false, "Beta's operator agrees to a later end")
	}
}

func (g *graph) postAsk(id int32, n node, done batch) {
	received, beta := n, g.of(&n, sp2)
	answered := n
	switch {
	case beta.asked == done.asked || beta.moved >= done.asked: // the same call again
	case n.phase > beta.moved || !g.takes(beta, transfer.BatchAsk):
		done.asked = 0
		answered.b[0] = g.batchID(done)
		g.follow(id, answered, true, "Beta declines to be asked")
		return
	default:
		beta = g.turn(beta, sp2, transfer.BatchAsk)
		beta.asked = done.asked
		received.b[1] = g.batchID(beta)
	}
	answered = received
	answered.b[0] = g.batchID(done)
	g.exchange(id, n, received, answered, "Alpha asks Beta for a later end")
}

func (g *graph) postAgreement(id int32, n node, done batch) {
	received, alpha := n, g.of(&n, sp1)
	answered := n
	answered.b[1] = g.batchID(done)
	switch {
	case alpha.moved == done.moved: // the same call again
	case n.phase > alpha.moved || alpha.asked != done.moved || !g.takes(alpha, transfer.BatchExtend):
		g.follow(id, answered, true, "Alpha declines the later end")
		return
	default:
		alpha = g.turn(alpha, sp1, transfer.BatchExtend)
		alpha.asked, alpha.moved = 0, done.moved
		received.b[0] = g.batchID(alpha)
	}
	answered = received
	answered.b[1] = g.batchID(done)
	g.exchange(id, n, received, answered, "Beta posts its agreement to a later end")
}

// voids forgets an offer, with what was agreed beside it.
func (g *graph) voids(b batch, sp uint8) batch {
	b = g.turn(b, sp, transfer.BatchOfferOver)
	b.asked, b.moved = 0, 0
	return b
}

// offerOver is an offer that nobody approved in time. Beta asks Alpha whether somebody
// did.
func (g *graph) offerOver(id int32, n node, sp uint8) {
	next, b := n, g.of(&n, sp)
	if sp == sp1 {
		if n.offers == 0 {
			return
		}
		next.offers--
		next.b[0] = g.batchID(g.voids(b, sp1))
		g.follow(id, next, false, "the offer expires at Alpha")
		return
	}
	switch alpha := g.of(&n, sp1).state; {
	case in(alpha, transfer.BatchApproved, transfer.BatchStaging, transfer.BatchArmed, transfer.BatchSwitching):
		b = g.showsBeta(b, showsReady)
	case alpha == transfer.BatchInfoAccepted && b.pending == "":
		b = g.voids(b, sp2)
	default:
		return
	}
	next.b[1] = g.batchID(b)
	g.follow(id, next, true, "Beta asks what became of its offer")
}
