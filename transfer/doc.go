// Package transfer is the trust-transfer protocol: how a device passes from one
// service provider to another without anybody touching it, and without either
// provider being able to impersonate the other.
//
// It has four parts, none of which performs I/O or reads a clock:
//
//   - The messages. Each signed kind has a body (Mandate, Offer, Message,
//     Receipt …) with a method Sign, and two functions: ParseX reads a body that
//     proves nothing yet, to find its signer by the key identifier, and VerifyX
//     checks it against a certificate that the caller has stored. The bodies of
//     the interface between providers (Answer, Ready …) are plain CBOR with
//     Encode and ParseX. All of it is deterministic CBOR, strictly decoded.
//   - The tables: BatchTable for a transfer as both providers see it, OutgoingTable
//     and IncomingTable for one device at either of them, DeviceTable for the
//     device itself, and GuardTable, which says who may do what to the device's
//     objects in which state.
//   - The device: Accept, the acceptance check E1 to E11, is a pure function.
//     Device is the machine, standing on a Journal. It takes events and hands
//     out one Effect at a time, which the program around it performs.
//   - The provider's thinking: PlanTruststore, VerifyOffer, CompareReady,
//     Authorize.
//
// A program that runs a device does this, at start and after every event:
//
//	for e, ok := d.Next(); ok && !e.Waits; e, ok = d.Next() {
//		perform(e)          // idempotent: it may be asked again after a power cut
//		err := d.Done(e.Do) // journalled; the next effect becomes current
//	}
//
// An effect with Waits set (attest, fetch an update, enrol, register) is what
// the device does in its present state until an event ends it: the program tries
// it, reports the outcome (Enrolled, Registered, Refused, Failed), and asks
// again after Retry.Delay. Tick counts powered seconds, which is what grace is
// measured in.
//
// Section numbers refer to the transfer protocol unless stated otherwise.
package transfer
