// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// The rooms from the ground up; each imports only what stands below it. CONTRIBUTING.md shows the plan.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),  // SE-0335: `any` is written out, so that it is seen
    .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444: a file imports what it uses
]

// What a compiler can add to C against its own mistakes. In debug builds some of it needs what is not there.
let hardened = [
    "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong",
    "-fstack-clash-protection", "-fcf-protection",
]
let release = BuildSettingCondition.when(configuration: .release)

// hiredis is linked into the library: whoever loads it needs no libhiredis at run time.
let hiredis: [LinkerSetting] = [.unsafeFlags(["-Xlinker", "-l:libhiredis.a"])]

let package = Package(
    name: "redcol",
    products: [
        .library(name: "redcol", type: .dynamic, targets: ["RedcolABI"])
    ],
    targets: [
        .systemLibrary(name: "CRedcol", path: "include"),
        .systemLibrary(
            name: "CHiredis", path: "Sources/CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .target(
            name: "CPlatform", cSettings: [.unsafeFlags(hardened, release)],
            cxxSettings: [
                .define("NDEBUG", release),
                .unsafeFlags(["-fno-exceptions", "-fno-rtti", "-O2"]),
                .unsafeFlags(hardened, release),
            ]),
        .target(name: "RedcolBase", dependencies: ["CPlatform"], swiftSettings: strict),
        .target(
            name: "ArrowColumns", dependencies: ["RedcolBase", "CPlatform", "CRedcol"],
            swiftSettings: strict),
        .target(
            name: "RedisConnection", dependencies: ["RedcolBase", "CPlatform", "CHiredis"],
            swiftSettings: strict, linkerSettings: hiredis),
        .target(
            name: "StreamSnapshots", dependencies: ["RedcolBase", "CPlatform"],
            swiftSettings: strict),
        .target(
            name: "RedisTopology",
            dependencies: ["RedisConnection", "StreamSnapshots", "RedcolBase", "CPlatform"],
            swiftSettings: strict),
        .target(
            name: "StreamReading",
            dependencies: [
                "ArrowColumns", "StreamSnapshots", "RedisTopology", "RedisConnection", "RedcolBase",
                "CPlatform",
            ],
            swiftSettings: strict),
        .target(
            name: "StreamInspection",
            dependencies: [
                "ArrowColumns", "RedisTopology", "StreamSnapshots", "RedisConnection", "RedcolBase",
                "CPlatform",
            ],
            swiftSettings: strict),
        .target(
            name: "FrameWriting",
            dependencies: [
                "ArrowColumns", "RedisTopology", "RedisConnection", "RedcolBase", "CPlatform",
            ],
            swiftSettings: strict),
        .target(
            name: "StreamSteering",
            dependencies: ["RedisTopology", "RedisConnection", "RedcolBase"],
            swiftSettings: strict),
        .target(
            name: "RedcolABI",
            dependencies: [
                "StreamReading", "StreamInspection", "FrameWriting", "StreamSteering", "CRedcol",
            ],
            exclude: ["exports.map"], swiftSettings: strict),
        .testTarget(
            name: "ArrowColumnsTests", dependencies: ["ArrowColumns", "RedcolBase", "CRedcol"],
            swiftSettings: strict),
        .target(
            name: "TestSupport", dependencies: ["CHiredis", "CRedcol"], path: "Tests/TestSupport",
            swiftSettings: strict, linkerSettings: hiredis),
        .testTarget(
            name: "RedisConnectionTests",
            dependencies: ["RedisConnection", "RedcolBase", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "StreamSnapshotsTests",
            dependencies: ["StreamSnapshots", "RedcolBase", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "RedisTopologyTests",
            dependencies: ["RedisTopology", "RedisConnection", "RedcolBase", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "StreamReadingTests",
            dependencies: [
                "StreamReading", "ArrowColumns", "RedisTopology", "RedisConnection", "RedcolBase",
                "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "StreamInspectionTests",
            dependencies: [
                "StreamInspection", "ArrowColumns", "RedisTopology", "RedisConnection",
                "RedcolBase", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "FrameWritingTests",
            dependencies: [
                "FrameWriting", "StreamReading", "StreamInspection", "ArrowColumns",
                "RedisConnection", "RedcolBase", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "StreamSteeringTests",
            dependencies: ["StreamSteering", "RedisConnection", "RedcolBase", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "ABITests", dependencies: ["RedcolABI", "CRedcol", "TestSupport"],
            swiftSettings: strict),
    ],
    cxxLanguageStandard: .cxx17
)

// scripts/fuzz.sh asks for it: it links with a fuzzer only.
if Context.environment["REDCOL_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "StreamReading", "StreamSnapshots", "StreamInspection", "StreamSteering",
                "FrameWriting", "TestSupport",
            ],
            path: "Tests/Fuzz",
            swiftSettings: strict))
}

// `make build` asks for it: Embedded Swift, which needs no runtime. The rooms become one module there.
// As several, each emits its own copy of what it has inlined from the others, constants too, which
// Swift 6.3 numbers anew in each copy under the same names: the linker keeps one of them, and a
// command got another one's name. rooms.modulemap has an empty module for each import of a room.
if Context.environment["REDCOL_EMBEDDED"] == "1" {
    let rooms = package.targets
        .filter { $0.type == .regular && $0.path == nil && $0.name != "CPlatform" }.map(\.name)
    let directory = "\(Context.packageDirectory)/Sources"
    let kept = ["CRedcol", "CHiredis", "CPlatform"]
    package.targets.removeAll { !kept.contains($0.name) }
    package.targets.append(
        .target(
            name: "RedcolABI", dependencies: ["CRedcol", "CHiredis", "CPlatform"],
            path: "Sources",
            exclude: ["CHiredis", "CPlatform", "RedcolABI/exports.map", "rooms.modulemap"],
            sources: rooms,
            swiftSettings: strict + [
                .enableExperimentalFeature("Embedded"),
                .unsafeFlags(["-wmo", "-Xfrontend", "-function-sections"]),
                // Embedded Swift has calls for this check, but nothing is checked in them.
                .unsafeFlags(["-enforce-exclusivity=unchecked"]),
                // For size: no copy of a function for each closure that it is called with, and one
                // trap a function.
                .unsafeFlags(["-Xllvm", "-sil-disable-pass=closure-specialize"]),
                .unsafeFlags(["-Xfrontend", "-mergeable-traps"]),
                // For speed: only functions that call others have a frame, by which a stack is followed.
                .unsafeFlags(["-Xcc", "-momit-leaf-frame-pointer"]),
                .unsafeFlags(["-Xcc", "-fmodule-map-file=\(directory)/rooms.modulemap"]),
            ],
            linkerSettings: hiredis))
}
