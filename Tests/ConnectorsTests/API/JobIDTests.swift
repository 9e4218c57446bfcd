import Testing

@testable import Connectors

@Suite("Ids of jobs")
struct JobIDTests {
    @Test("JobID: all bits are in the id, in the order of the bytes")
    func plain() {
        #expect(
            JobID.text(0x0706_0504_0302_0100, 0xFFEE_DDCC_BBAA_9988, isUUID: false)
                == "job_00010203040506078899aabbccddeeff")
        #expect(JobID.text(0, .max, isUUID: false) == "job_0000000000000000ffffffffffffffff")
    }

    @Test("JobID: a UUID says that it is random", arguments: [UInt64.min, .max, 0x0706_0504_0302_0100])
    func uuid(word: UInt64) {
        let id = JobID.text(word, word, isUUID: true)
        #expect(id.isUUID)
        let digits = Array(id)
        #expect(digits[14] == "4")
        #expect("89ab".contains(digits[19]))
        #expect(JobID.text(0, 0, isUUID: true) == "00000000-0000-4000-8000-000000000000")
        #expect(JobID.text(.max, .max, isUUID: true) == "ffffffff-ffff-4fff-bfff-ffffffffffff")
    }
}
