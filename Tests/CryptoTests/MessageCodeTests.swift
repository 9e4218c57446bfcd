import Testing

@testable import Crypto

@Suite("MessageCode")
struct MessageCodeTests {
    @Test("MessageCode: the codes are those of RFC 4231, section 4")
    func vectors() {
        let cases: [(key: [UInt8], text: [UInt8], UInt64, UInt64)] = [
            ([UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8), 0xb034_4c61_d8db_3853, 0x5ca8_afce_af0b_f12b),
            (
                Array("Jefe".utf8), Array("what do ya want for nothing?".utf8), 0x5bdc_c146_bf60_754e,
                0x6a04_2426_0895_75c7
            ),
            (
                [UInt8](repeating: 0xaa, count: 131),
                Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8), 0x60e4_3159_1ee0_b67f,
                0x0d8a_26aa_cbf5_b77f
            ),
        ]
        for (key, text, first, second) in cases {
            let code = MessageCode(key: key).code(of: text.span)
            #expect(code.0 == first && code.1 == second)
        }
        let empty: [UInt8] = []
        let (one, other) = (MessageCode(), MessageCode())
        #expect(one.code(of: empty.span) != other.code(of: empty.span), "each process has a key of its own")
    }
}
