#!/usr/bin/env python3
"""Reads the record of a hand-over with other people's CBOR, COSE and X.509, and checks
every signature in it. Written from transfer.cddl and RFC 9052 alone.

usage: record.py RECORD
"""
import base64
import hashlib
import io
import json
import sys

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

EXT = -65537
checked = 0


def verify(certificate, signature, message):
    global checked
    r, s = (int.from_bytes(signature[i:i + 32], "big") for i in (0, 32))
    certificate.public_key().verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    checked += 1


def untag(raw, number):
    item = cbor2.loads(raw)
    if isinstance(item, cbor2.CBORTag):
        assert item.tag == number, item.tag
        item = item.value
    return item


def sign1(raw, kind, known, detached=None):
    """RFC 9052 section 4.2; the certificate is found by the key identifier."""
    protected, _, payload, signature = untag(raw, 18)
    if detached is not None:
        assert payload is None, "the payload is not detached"
        payload = detached
    header = cbor2.loads(protected)
    assert header[1] == -7, header
    certificate = known[header[4]]
    verify(certificate, signature, cbor2.dumps(["Signature1", protected, kind.encode(), payload]))
    return cbor2.loads(payload), hashlib.sha256(protected + payload).digest()


def receipt(raw, known):
    """COSE_Sign, section 4.1: the factory key, and the operational one where it is known."""
    protected, _, payload, signatures = untag(raw, 98)
    assert len(signatures) == 2
    for i, (own, _, signature) in enumerate(signatures):
        kid = cbor2.loads(own)[4]
        if kid in known:
            verify(known[kid], signature, cbor2.dumps(
                ["Signature", protected, own, b"steward/receipt/1", payload]))
        else:
            assert i == 1, "the factory certificate is not known"
    return cbor2.loads(payload)


def jws(text, known):
    head, payload, signature = text.decode().split(".")
    certificate = next(iter([c for c in known.values()
                             if signed_by(c, decode(signature), (head + "." + payload).encode())]), None)
    assert certificate is not None, "nobody known has signed the info"
    return json.loads(decode(head))


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed_by(certificate, signature, message):
    try:
        verify(certificate, signature, message)
        return True
    except Exception:
        return False


def main():
    raw = open(sys.argv[1], "rb").read()
    sequence = io.BytesIO(raw)  # RFC 8742: the signature, then what it is of
    cbor2.load(sequence)
    signature, payload = raw[:sequence.tell()], raw[sequence.tell():]
    body = cbor2.loads(payload)
    known = {}

    def learn(der):
        known[hashlib.sha256(der).digest()[:8]] = x509.load_der_x509_certificate(der)

    for party in body[14]:
        learn(party[2])
    for device in body[17]:
        learn(device[2])
        for certificate in device[9] or []:
            learn(certificate[1])
    sign1(signature, "steward/record/1", known, payload)
    sign1(body[10], "steward/mandate/1", known)
    offer, offered = sign1(body[13], "steward/offer/1", known)
    assert jws(body[11], known)["alg"] == "ES256"
    destination = cbor2.loads(offer[EXT][0])
    assert destination[11].startswith("coaps://") and destination[8], destination
    for device in body[17]:
        factory = hashlib.sha256(device[2]).digest()
        hash_ = None
        if device[6]:
            message, hash_ = sign1(device[6], "steward/message/1", known)
            terms = message[EXT]
            assert terms[0] == offer[EXT][0], "the destination is not the offer's, byte for byte"
            assert terms[7] == offered and terms[21] == factory and len(device[6]) <= 512, terms
        states = []
        for one in device[7]:
            terms = receipt(one, known)[EXT]
            assert terms[21] == factory and terms[23] == hashlib.sha256(offer[EXT][0]).digest()
            assert hash_ is None or terms[22] == hash_
            states.append(terms[20])
        assert states == [1, 8, 9], states
    print(f"{checked} signatures of {len(body[17])} devices verify")


main()
