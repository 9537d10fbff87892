// Package coap is the exchange layer of CoAP (RFC 7252) over any peer,
// by datagrams or by streams (RFC 8323): reliability, deduplication, tokens, Observe (RFC 7641) and block-wise
// transfer (RFC 7959, RFC 9175), for both roles and all peers at once.
//
// It knows no sockets: a transport hands datagrams to Engine.Receive, frames of
// streams to Engine.ReceiveFrame, and the engine answers through Peer.Send. An Engine keeps state only for messages in
// flight, for observations and for what deduplication must remember; a quiet
// peer costs nothing.
package coap
