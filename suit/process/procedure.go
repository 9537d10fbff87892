package process

import (
	"context"
	"errors"

	"steward/suit"
)

// Update opens the envelope and takes it through the whole update procedure
// (§6.3): Download and Install. Errors are *Error.
func (p *Processor) Update(ctx context.Context, raw []byte) error {
	k, err := p.Open(ctx, raw)
	if err != nil {
		return err
	}
	return k.Install(ctx)
}

// Invoke opens the envelope and takes it through the invocation procedure
// (§6.3): validate, load, invoke. Errors are *Error.
func (p *Processor) Invoke(ctx context.Context, raw []byte) error {
	k, err := p.Open(ctx, raw)
	if err != nil {
		return err
	}
	return k.Invoke(ctx)
}

// Boot invokes what is installed. It returns ErrAbsent, in an *Error, if nothing
// is.
func (p *Processor) Boot(ctx context.Context) error {
	in, ok, err := p.o.Target.Installed(ctx)
	if err != nil {
		return refuse(StageParse, ReasonOperation, err)
	}
	if !ok || len(in.Envelope) == 0 {
		return refuse(StageParse, ReasonOperation, ErrAbsent)
	}
	return p.Invoke(ctx, in.Envelope)
}

// Download runs sections dependency-resolution and payload-fetch. What it fetched is kept in the staging
// area for Install. If the connection breaks or ctx ends, what has arrived is
// kept and a later Download goes on from there; after any other failure nothing
// is kept.
func (k *Package) Download(ctx context.Context) error {
	return k.staged(ctx, suit.SectionFetch, nil, suit.SectionDependencies, suit.SectionFetch)
}

// Install runs sections dependency-resolution, payload-fetch,
// candidate-verification, install and validate, and commits: the
// components and the sequence number change at once, or not at all. Payloads
// that Download, or an interrupted Install, fetched are not fetched again.
func (k *Package) Install(ctx context.Context) error {
	commit := func(area Staging) error {
		err := area.Commit(ctx, Installed{
			Sequence: k.Manifest.Sequence, Manifest: k.Envelope.Digest, Envelope: k.raw,
		})
		if err != nil {
			return refuse(StageCommit, ReasonOperation, err)
		}
		return nil
	}
	return k.staged(ctx, suit.SectionInstall, commit, suit.SectionDependencies, suit.SectionFetch,
		suit.SectionCandidate, suit.SectionInstall, suit.SectionValidate)
}

// Uninstall runs section uninstall and commits: afterwards nothing is installed
// that Boot could start, but the sequence number stays, so that nothing older can
// come after it.
func (k *Package) Uninstall(ctx context.Context) error {
	commit := func(area Staging) error {
		if err := area.Commit(ctx, Installed{Sequence: k.Manifest.Sequence}); err != nil {
			return refuse(StageCommit, ReasonOperation, err)
		}
		return nil
	}
	return k.staged(ctx, suit.SectionUninstall, commit, suit.SectionUninstall)
}

// staged runs sections in the staging area of the package and then commit.
func (k *Package) staged(
	ctx context.Context, stage suit.Section, commit func(Staging) error, sections ...suit.Section,
) error {
	area, err := k.p.o.Target.Begin(ctx, k.Envelope.Digest)
	if err != nil {
		return refuse(Stage(stage), ReasonOperation, err)
	}
	m := k.machine(area)
	for _, section := range sections {
		if err := m.run(ctx, section); err != nil {
			return abandon(ctx, area, err)
		}
	}
	if commit == nil {
		return nil
	}
	if err := m.proven(sections[len(sections)-1]); err != nil {
		return abandon(ctx, area, err)
	}
	return commit(area)
}

// abandon drops the staging area unless the update can be resumed.
func abandon(ctx context.Context, area Staging, err error) error {
	if errors.Is(err, ErrConnection) || ctx.Err() != nil {
		return err
	}
	if discard := area.Discard(ctx); discard != nil {
		e, _ := errors.AsType[*Error](err)
		joined := *e
		joined.Err = errors.Join(e.Err, discard)
		return &joined
	}
	return err
}

// Invoke runs sections validate, load and invoke.
func (k *Package) Invoke(ctx context.Context) error {
	area, err := k.p.o.Target.Boot(ctx, k.Envelope.Digest)
	if err != nil {
		return refuse(StageValidate, ReasonOperation, err)
	}
	m := k.machine(area)
	for _, section := range []suit.Section{suit.SectionValidate, suit.SectionLoad, suit.SectionInvoke} {
		if err := m.run(ctx, section); err != nil {
			return err
		}
	}
	return nil
}
