// Package explore is a test of the trust transfer as a whole: it walks through every
// order of events, within bounds, that the two providers, their CAs, the devices and
// the network between them can produce, and holds the invariants I1 to I7 of §8 in
// each state that is reached.
//
// What it steps is what runs in production: transfer.Device on its journal, with the
// acceptance check and the rule table of the objects; transfer.OutgoingTable,
// IncomingTable and BatchTable, by transfer.Progress; est.RightTable; VerifyReceipt,
// CompareReady, CompareDone, CompareFinalised and CompareFellBack on receipts with
// real signatures; SameManifests on what a device runs; CompareEnrolled and CompareClosed
// on what the other CA states. What a provider does with an effect is written anew here, in a few
// lines each, for the coordinator's own functions speak to sockets and to a clock.
//
// Two devices are explored completely where states of one device that nobody can tell
// apart are put together, by a branching bisimulation that is found for all of them
// first; TestReduction holds that against the exploration of each state.
//
// Time is five phases (inside the window; after it, where it may have been extended, once
// or twice; after the incoming provider gave up who has not committed; after the
// contractual end of the right) and, for a device, a period of power long enough for whatever it waits for.
// The package holds tests only.
package explore
