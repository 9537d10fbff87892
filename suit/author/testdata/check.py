#!/usr/bin/python3
"""Checks SUIT envelopes without any code of this module.

Reads one JSON object from standard input: envelope (hexadecimal), keys (a list of
PEM public keys and {"secret": hex} objects, one for each authentication block, in
order), kek or private (hexadecimal) for encrypted payloads, and payloads (URI to
hexadecimal). Writes one JSON object: what it found. Exits with status 1 and one
line on standard error when something is wrong, with 77 when a module is missing.
"""
import hashlib
import hmac
import json
import sys

try:
    import cbor2
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
except ImportError as e:
    print(e, file=sys.stderr)
    sys.exit(77)

DIGESTS = {-16: hashlib.sha256, -43: hashlib.sha384, -44: hashlib.sha512}
CURVES = {-7: ("secp256r1", hashes.SHA256, 32), -9: ("secp256r1", hashes.SHA256, 32),
          -35: ("secp384r1", hashes.SHA384, 48), -51: ("secp384r1", hashes.SHA384, 48)}
ENVELOPE = {2, 3, 14, 15, 16, 18, 20, 23}
SEVERABLE = {14, 15, 16, 18, 20, 23}
SEQUENCES = {7, 8, 9, 15, 16, 18, 20, 24}
POLICY = {1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 18, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31, 33}


class Wrong(Exception):
    """What is wrong."""


def need(truth, what):
    if not truth:
        raise Wrong(what)


def load(raw):
    """Decodes deterministic CBOR: its encoding must be the same bytes."""
    value = cbor2.loads(raw)
    need(cbor2.dumps(value, canonical=True) == raw or reordered(value) == raw, "not deterministic: " + raw[:40].hex())
    return value


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | info]) + n.to_bytes(size, "big")
    raise Wrong("number too large")


def reordered(value):
    """Encodes with the order of RFC 8949 section 4.2.1, which cbor2 does not have."""
    if isinstance(value, bool) or value is None:
        return cbor2.dumps(value)
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join(map(reordered, value))
    if isinstance(value, cbor2.CBORTag):
        return head(6, value.tag) + reordered(value.value)
    if isinstance(value, dict):
        pairs = sorted((reordered(k), reordered(v)) for k, v in value.items())
        return head(5, len(pairs)) + b"".join(k + v for k, v in pairs)
    raise Wrong("unexpected type %s" % type(value))


def digest(raw, content, what):
    alg, value = raw
    need(alg in DIGESTS, "%s: algorithm %s" % (what, alg))
    need(DIGESTS[alg](content).digest() == value, "%s: digest differs" % what)


def verify(block, key, payload):
    message = load(block)
    protected, unprotected, attached, proof = message.value
    need(attached is None and unprotected == {}, "payload attached, or unprotected header")
    alg = load(protected)[1]
    context = {17: "MAC0", 18: "Signature1"}[message.tag]
    signed = reordered([context, protected, b"", payload])
    if message.tag == 17:
        need(alg == 5, "MAC algorithm")
        need(hmac.compare_digest(hmac.new(bytes.fromhex(key["secret"]), signed, "sha256").digest(), proof), "MAC")
        return alg
    public = serialization.load_pem_public_key(key.encode())
    try:
        if alg in (-8, -19):
            need(isinstance(public, ed25519.Ed25519PublicKey), "key of another kind")
            public.verify(proof, signed)
        else:
            curve, sha, size = CURVES[alg]
            need(public.curve.name == curve and len(proof) == 2 * size, "key or signature of another kind")
            r, s = (int.from_bytes(p, "big") for p in (proof[:size], proof[size:]))
            public.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(sha()))
    except InvalidSignature:
        raise Wrong("signature") from None
    return alg


def decrypt(info, ciphertext, keys):
    message = load(info)
    need(message.tag == 96, "encryption-info has tag %d" % message.tag)
    protected, unprotected, attached, recipients = message.value
    need(attached is None, "ciphertext attached")
    header = dict(unprotected, **{}) if not protected else {**unprotected, **load(protected)}
    cek = None
    for outer, inner, wrapped in recipients:
        alg = load(outer)[1] if outer else inner[1]
        if alg in (-3, -5) and "kek" in keys:
            need(outer == b"", "key wrap with a protected header")
            cek = aes_key_unwrap(bytes.fromhex(keys["kek"]), wrapped)
        elif alg == -29 and "private" in keys:
            e = inner[-1]
            need(e[1] == 2 and e[-1] == 1, "ephemeral key")
            numbers = ec.EllipticCurvePublicNumbers(
                int.from_bytes(e[-2], "big"), int.from_bytes(e[-3], "big"), ec.SECP256R1())
            private = ec.derive_private_key(int(keys["private"], 16), ec.SECP256R1())
            secret = private.exchange(ec.ECDH(), numbers.public_key())
            party = [None, None, None]
            context = reordered([-3, party, party, [128, outer, b"SUIT Payload Encryption"]])
            kek = HKDF(hashes.SHA256(), 16, None, context).derive(secret)
            cek = aes_key_unwrap(kek, wrapped)
    need(cek is not None, "no recipient")
    alg, iv, aad = header[1], header[5], reordered(["Encrypt", protected, b""])
    if alg in (1, 3):
        return AESGCM(cek).decrypt(iv, ciphertext, aad)
    if alg == 24:
        return ChaCha20Poly1305(cek).decrypt(iv, ciphertext, aad)
    need(alg in (-65534, -65532) and protected == b"", "content algorithm %s" % alg)
    d = Cipher(algorithms.AES(cek), modes.CTR(iv)).decryptor()
    return d.update(ciphertext) + d.finalize()


class Machine:
    """Follows the commands of a manifest as far as parameters go."""

    def __init__(self, job, envelope, manifest):
        self.job, self.envelope, self.manifest = job, envelope, manifest
        common = load(manifest[3])
        self.components = common[2]
        self.dependencies = common.get(1, {})
        self.shared = load(common[4])
        self.parameters = [{} for _ in self.components]
        self.content = [None for _ in self.components]
        self.matched, self.found = 0, []

    def payload(self, uri):
        if uri in self.envelope:
            return self.envelope[uri]
        need(uri in self.job.get("payloads", {}), "no payload " + uri)
        return bytes.fromhex(self.job["payloads"][uri])

    def run(self, sequence, selected):
        need(len(sequence) % 2 == 0 and sequence, "length of a sequence")
        for code, argument in zip(sequence[::2], sequence[1::2]):
            need(code not in POLICY or argument in range(16), "policy of %d" % code)
            if code == 12:
                selected = argument if isinstance(argument, list) else [argument]
                continue
            for i in selected:
                self.command(code, argument, i)

    def command(self, code, argument, i):
        p = self.parameters[i]
        if code == 20:
            p.update(argument)
        elif code == 15:
            for alternative in argument: # all are looked at: each must be sound
                self.run(load(alternative), [i])
        elif code == 21:
            self.content[i] = self.payload(p[21])
        elif code in (18, 22):
            content = p[18] if code == 18 else self.content[p[22]]
            self.content[i] = decrypt(p[19], content, self.job) if 19 in p else content
        elif code == 3:
            need(p.get(14, len(self.content[i])) == len(self.content[i]), "size of component %d" % i)
            digest(load(p[3]), self.content[i], "component %d" % i)
            self.matched += 1
        elif code == 7:
            need(i in self.dependencies, "component %d is no dependency" % i)
            inner = cbor2.loads(self.content[i]).value
            need(load(inner[2])[0] == p[3], "manifest digest of dependency %d" % i)
            digest(load(p[3]), reordered(inner[3]), "dependency %d" % i)
            self.found.append("dependency %d" % i)
        elif code == 24:
            need(len(p[24]) == 16, "device identifier")
        elif code == 1:
            need(len(p[1]) == 16 and p[1][6] >> 4 == 5, "vendor is no UUIDv5")
        elif code == 2:
            need(len(p[2]) == 16 and p[2][6] >> 4 == 5, "class is no UUIDv5")


def check(job):
    tag = load(bytes.fromhex(job["envelope"]))
    need(tag.tag == 107, "tag %d" % tag.tag)
    envelope = tag.value
    need({k for k in envelope if isinstance(k, int)} <= ENVELOPE, "envelope elements")
    wrapper = load(envelope[2])
    digest(load(wrapper[0]), reordered(envelope[3]), "manifest")
    need(len(wrapper) - 1 == len(job["keys"]), "%d authentication blocks" % (len(wrapper) - 1))
    algorithms_found = [verify(b, k, wrapper[0]) for b, k in zip(wrapper[1:], job["keys"])]
    manifest = load(envelope[3])
    need(manifest[1] == 1, "manifest version")
    severed = []
    for key, value in manifest.items():
        if key in SEVERABLE and isinstance(value, list):
            severed.append(key)
            if key in envelope:
                digest(value, reordered(envelope[key]), "element %d" % key)
                manifest = dict(manifest, **{}) | {key: envelope[key]}
    machine = Machine(job, envelope, manifest)
    for key in (15, 16, 18, 20, 7, 8, 9):
        if isinstance(manifest.get(key), bytes):
            machine.run(machine.shared, [0])
            machine.run(load(manifest[key]), [0])
    return {"sequence": manifest[2], "components": len(machine.components), "algorithms": algorithms_found,
            "matched": machine.matched, "severed": sorted(severed), "found": sorted(set(machine.found))}


def main():
    try:
        print(json.dumps(check(json.load(sys.stdin))))
    except Exception as e:  # pylint: disable=broad-except
        print("%s: %s" % (type(e).__name__, e), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
