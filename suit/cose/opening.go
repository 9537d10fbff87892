package cose

import (
	"bytes"
	"errors"
	"fmt"
)

// parseRecipients reads the recipients of a message (§5.1, §6.1), at least one.
func parseRecipients(wire []wireRecipient, understood []int64) ([]Recipient, error) {
	if n := len(wire); n == 0 || n > MaxRecipients {
		return nil, fmt.Errorf("%w: %d recipients", ErrSyntax, n)
	}
	list := make([]Recipient, 0, len(wire))
	for i, w := range wire {
		r := Recipient{Key: w.Key}
		var err error
		if r.Headers, err = parseMaps(w.Protected, w.Unprotected, false, understood); err != nil {
			return nil, fmt.Errorf("recipient %d: %w", i, err)
		}
		r.alg = r.anyAlgorithm()
		list = append(list, r)
	}
	return list, nil
}

// openKey returns the key of size bytes, or more, that a message was made with. It
// tries the keys whose identifier matches, then the others.
func openKey(recipients []Recipient, keys []*RecipientKey, size int, context []byte) ([]byte, error) {
	failed := ErrNoRecipient
	for _, hinted := range []bool{true, false} {
		for i := range recipients {
			key, err := recipients[i].open(keys, hinted, size, context)
			if err == nil {
				return key, nil
			}
			if !errors.Is(err, ErrNoRecipient) {
				failed = err
			}
		}
	}
	return nil, failed
}

// open unwraps a key of size bytes with those of keys that serve the algorithm and,
// if hinted, have the identifier that the message names.
func (r *Recipient) open(keys []*RecipientKey, hinted bool, size int, context []byte) ([]byte, error) {
	failed := ErrNoRecipient
	for _, k := range keys {
		public := k.private == nil && k.public != nil
		if public || k.alg != r.alg || hinted != bytes.Equal(k.kid, r.KeyID()) {
			continue
		}
		key, err := k.unwrap(r, context)
		if err == nil && (len(key) == size || k.alg == Direct) {
			return key, nil
		}
		failed = errors.Join(ErrDecrypt, err)
	}
	return nil, failed
}
