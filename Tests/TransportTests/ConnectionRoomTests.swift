import Testing

@testable import Transport

@Suite struct ConnectionRoomTests {
    @Test func oneClientLeavesRoomForOthers() {
        let room = ConnectionRoom(limit: 16)
        #expect((0..<20).count { _ in room.admits(1) } == 14)
        #expect(room.admits(2))
        #expect(!room.admits(1))
        #expect(room.admits(3))
        #expect(!room.admits(4))
        #expect(room.open == 16)
    }

    @Test func whoHasMoreGivesWay() {
        let room = ConnectionRoom(limit: 8)
        for _ in 0..<7 { #expect(room.admits(1)) }
        #expect(room.admits(2))
        #expect(!room.gives(placeOf: 2, to: 1))
        #expect(room.gives(placeOf: 1, to: 1))
        #expect(room.gives(placeOf: 1, to: 3))
        #expect(room.open == 8)
        #expect(room.usage().counts == [1: 6, 2: 1, 3: 1])
    }

    @Test func aClientWithoutConnectionsIsForgotten() {
        let room = ConnectionRoom(limit: 8)
        #expect(room.admits(1))
        room.leave(1)
        #expect(room.usage().counts.isEmpty)
        #expect(room.open == 0)
    }

    @Test func aSmallRoomAdmits() {
        let room = ConnectionRoom(limit: 1)
        #expect(room.admits(1))
        #expect(!room.admits(1))
    }
}
