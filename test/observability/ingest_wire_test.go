package observability

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// protoMessage is a message of protocol buffers that is written field after field.
type protoMessage []byte

func (m protoMessage) bytes(field protowire.Number, value []byte) protoMessage {
	return protowire.AppendBytes(protowire.AppendTag(m, field, protowire.BytesType), value)
}

func (m protoMessage) number(field protowire.Number, value uint64) protoMessage {
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), value)
}

// asItIs is a gRPC codec for messages that are written already.
type asItIs struct{}

func (asItIs) Name() string { return "proto" }

func (asItIs) Marshal(v any) ([]byte, error) {
	text, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is no message that is written already", v)
	}
	return *text, nil
}

func (asItIs) Unmarshal(data []byte, v any) error {
	into, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T takes no message as it is", v)
	}
	*into = append([]byte(nil), data...)
	return nil
}

// thrift is one of its two encodings. Fields come in the order of their numbers.
type thrift interface {
	number32(field int16, value int32)
	number64(field int16, value int64)
	text(field int16, value string)
	// open a struct; open with a field of 0 is one in a list.
	open(field int16)
	// list begins a list of one struct.
	list(field int16)
	close()
	written() []byte
}

// thriftBatch is a Batch of one span (github.com/jaegertracing/jaeger-idl, thrift/jaeger.thrift).
func (s span) thriftBatch(to thrift) []byte {
	to.open(0)
	to.open(1) // process
	to.text(1, s.service)
	to.close()
	to.list(2) // spans
	to.open(0)
	to.number64(1, int64(binary.BigEndian.Uint64(s.traceID[8:])))
	to.number64(2, int64(binary.BigEndian.Uint64(s.traceID[:8])))
	to.number64(3, int64(binary.BigEndian.Uint64(s.spanID[:])))
	to.number64(4, 0) // no parent
	to.text(5, s.name)
	to.number32(7, 1) // sampled
	to.number64(8, s.start.UnixMicro())
	to.number64(9, s.duration.Microseconds())
	to.close()
	to.close()
	return to.written()
}

// thriftBinary is Thrift's binary protocol
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-binary-protocol.md).
type thriftBinary struct{ out []byte }

func (b *thriftBinary) field(kind byte, field int16) {
	b.out = binary.BigEndian.AppendUint16(append(b.out, kind), uint16(field))
}

func (b *thriftBinary) number32(field int16, value int32) {
	b.field(8, field)
	b.out = binary.BigEndian.AppendUint32(b.out, uint32(value))
}

func (b *thriftBinary) number64(field int16, value int64) {
	b.field(10, field)
	b.out = binary.BigEndian.AppendUint64(b.out, uint64(value))
}

func (b *thriftBinary) text(field int16, value string) {
	b.field(11, field)
	b.out = append(binary.BigEndian.AppendUint32(b.out, uint32(len(value))), value...)
}

func (b *thriftBinary) open(field int16) {
	if field != 0 {
		b.field(12, field)
	}
}

func (b *thriftBinary) list(field int16) {
	b.field(15, field)
	b.out = binary.BigEndian.AppendUint32(append(b.out, 12), 1)
}

func (b *thriftBinary) close() { b.out = append(b.out, 0) }

func (b *thriftBinary) written() []byte { return b.out }

// thriftCompact is Thrift's compact protocol, in which a field says by how much its number is above that of the last
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
type thriftCompact struct {
	out []byte
	// last field of each struct that is open.
	last []int16
}

func (c *thriftCompact) field(kind byte, field int16) {
	last := &c.last[len(c.last)-1]
	c.out = append(c.out, byte(field-*last)<<4|kind)
	*last = field
}

func (c *thriftCompact) number(value int64) {
	c.out = binary.AppendVarint(c.out, value) // zigzag, as Thrift's
}

func (c *thriftCompact) number32(field int16, value int32) {
	c.field(5, field)
	c.number(int64(value))
}

func (c *thriftCompact) number64(field int16, value int64) {
	c.field(6, field)
	c.number(value)
}

func (c *thriftCompact) text(field int16, value string) {
	c.field(8, field)
	c.out = append(binary.AppendUvarint(c.out, uint64(len(value))), value...)
}

func (c *thriftCompact) open(field int16) {
	if field != 0 {
		c.field(12, field)
	}
	c.last = append(c.last, 0)
}

func (c *thriftCompact) list(field int16) {
	c.field(9, field)
	c.out = append(c.out, 1<<4|12)
}

func (c *thriftCompact) close() {
	c.out = append(c.out, 0)
	c.last = c.last[:len(c.last)-1]
}

func (c *thriftCompact) written() []byte { return c.out }
