package services

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/rollout"
	"steward/web"
)

// author makes manifests for an image and signs them with our key.
func (s *releases) author(
	ctx context.Context, by web.Actor, n web.NewRelease,
) (rollout.Release, rollout.Content, error) {
	fail := func(err error) (rollout.Release, rollout.Content, error) {
		return rollout.Release{}, rollout.Content{}, err
	}
	switch "" {
	case strings.TrimSpace(n.Vendor):
		return fail(web.Invalid("vendor", "a UUID, or a domain name"))
	case strings.TrimSpace(n.Class):
		return fail(web.Invalid("class", "a UUID, or a name"))
	case strings.TrimSpace(n.Version):
		return fail(web.Invalid("version", "as the devices will report it"))
	}
	vendor, class := identifiers(strings.TrimSpace(n.Vendor), strings.TrimSpace(n.Class))
	newest, err := s.DB.Rollout().Newest(ctx, class.String())
	switch {
	case err != nil:
		return fail(translate(err))
	case n.Sequence == 0 && newest >= math.MaxInt64:
		return fail(conflict("no sequence number is left for this class"))
	case n.Sequence == 0:
		n.Sequence = newest + 1
	case n.Sequence <= newest:
		return fail(conflict(fmt.Sprintf("devices of this class have got sequence number %d", newest)))
	}
	staging, err := stagingOf(n)
	if err != nil {
		return fail(err)
	}
	id := s.NewID()
	r, c, err := rollout.AuthorRelease(rollout.ImageSpec{
		ID: id, Name: cmp.Or(n.Name, n.Version), Version: n.Version, Vendor: vendor, Class: class, Sequence: n.Sequence,
		Image: n.Image, By: by.String(), Secret: n.Secret, Staging: staging,
	}, s.UpdateURI(id), s.SUITSigner, s.Now())
	return r, c, about("image", err)
}

// stagingOf reads into which component devices fetch an image with secrets.
func stagingOf(n web.NewRelease) (suit.ComponentID, error) {
	switch {
	case n.Secret && n.Staging == "":
		return "", web.Invalid("staging", "the component into which devices fetch the ciphertext")
	case !n.Secret && n.Staging != "":
		return "", web.Invalid("staging", "only for an image that holds secrets")
	case !n.Secret:
		return "", nil
	}
	var segments [][]byte
	for part := range strings.SplitSeq(n.Staging, "/") {
		segment, err := hex.DecodeString(part)
		if err != nil || len(segment) == 0 {
			return "", web.Invalid("staging", "segments in hexadecimal, joined by a slash")
		}
		segments = append(segments, segment)
	}
	return suit.NewComponentID(segments...), nil
}

// identifiers reads vendor and class: UUIDs, or what they are derived from
// (SUIT manifest §8.4.8.2).
func identifiers(vendor, class string) (v, c author.UUID) {
	v, err := author.ParseUUID(vendor)
	if err != nil {
		v = author.VendorID(vendor)
	}
	if c, err = author.ParseUUID(class); err != nil {
		c = author.ClassID(v, class)
	}
	return v, c
}
