package dtls

import (
	"context"
	"errors"
	"fmt"
)

// reason classifies a failed handshake.
func reason(ctx context.Context, refusal, err error) error {
	switch {
	case refusal != nil:
		return fmt.Errorf("%w: %w", ErrRefused, refusal)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	default:
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
}
