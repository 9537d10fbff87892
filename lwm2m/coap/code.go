package coap

import "fmt"

// A Code is a method or response code, class<<5 | detail (RFC 7252 §12.1).
type Code uint8

// Empty is the code of messages that carry neither request nor response.
const Empty Code = 0

// Methods (RFC 7252 §5.8, RFC 8132 §2).
const (
	GET    Code = 1
	POST   Code = 2
	PUT    Code = 3
	DELETE Code = 4
	FETCH  Code = 5
	PATCH  Code = 6
	IPATCH Code = 7
)

// Response codes (RFC 7252 §5.9, RFC 7959 §2.9, RFC 8132 §4, RFC 8516).
const (
	Created  Code = 2<<5 | 1
	Deleted  Code = 2<<5 | 2
	Valid    Code = 2<<5 | 3
	Changed  Code = 2<<5 | 4
	Content  Code = 2<<5 | 5
	Continue Code = 2<<5 | 31

	BadRequest               Code = 4 << 5
	Unauthorized             Code = 4<<5 | 1
	BadOption                Code = 4<<5 | 2
	Forbidden                Code = 4<<5 | 3
	NotFound                 Code = 4<<5 | 4
	MethodNotAllowed         Code = 4<<5 | 5
	NotAcceptable            Code = 4<<5 | 6
	RequestEntityIncomplete  Code = 4<<5 | 8
	Conflict                 Code = 4<<5 | 9
	PreconditionFailed       Code = 4<<5 | 12
	RequestEntityTooLarge    Code = 4<<5 | 13
	UnsupportedContentFormat Code = 4<<5 | 15
	UnprocessableEntity      Code = 4<<5 | 22
	TooManyRequests          Code = 4<<5 | 29

	InternalServerError  Code = 5 << 5
	NotImplemented       Code = 5<<5 | 1
	BadGateway           Code = 5<<5 | 2
	ServiceUnavailable   Code = 5<<5 | 3
	GatewayTimeout       Code = 5<<5 | 4
	ProxyingNotSupported Code = 5<<5 | 5
)

// Class returns the first digit: 0 request, 2 success, 4 client error, 5
// server error.
func (c Code) Class() uint8 { return uint8(c) >> 5 }

// IsRequest reports whether c is a method.
func (c Code) IsRequest() bool { return c != Empty && c.Class() == 0 }

// IsResponse reports whether c is a response code.
func (c Code) IsResponse() bool { return c.Class() == 2 || c.Class() == 4 || c.Class() == 5 }

// IsSuccess reports whether c is a 2.xx response code.
func (c Code) IsSuccess() bool { return c.Class() == 2 }

// String returns the dotted form, such as "2.05".
func (c Code) String() string { return fmt.Sprintf("%d.%02d", c.Class(), uint8(c)&0x1f) }
