// swift-tools-version: 6.2
import PackageDescription

// The rooms from the ground up; each imports only what stands below it. CONTRIBUTING.md shows the plan.

// `make build EMBEDDED=1` asks for it: Embedded Swift, which carries no runtime.
let embedded: [SwiftSetting] =
    Context.environment["REDCOL_EMBEDDED"] != "1"
    ? [] : [.enableExperimentalFeature("Embedded"), .unsafeFlags(["-wmo", "-Xfrontend", "-function-sections"])]

let strict: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),  // SE-0335: `any` is written, so that it is seen
        .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444: a file imports what it uses
    ] + embedded

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
            name: "CPlatform",
            cxxSettings: [
                .unsafeFlags(["-fno-exceptions", "-fno-rtti", "-O2"])
            ]),
        .target(
            name: "ArrowColumns", dependencies: ["CPlatform", "CRedcol"], swiftSettings: strict),
        .target(
            name: "RedisConnection", dependencies: ["CPlatform", "CHiredis"], swiftSettings: strict,
            linkerSettings: hiredis),
        .target(
            name: "StreamReading", dependencies: ["ArrowColumns", "RedisConnection", "CPlatform"],
            swiftSettings: strict),
        .target(
            name: "RedcolABI", dependencies: ["StreamReading", "CRedcol"],
            exclude: ["exports.map"], swiftSettings: strict),
        .testTarget(
            name: "ArrowColumnsTests", dependencies: ["ArrowColumns", "CRedcol"],
            swiftSettings: strict),
        .target(
            name: "TestSupport", dependencies: ["CHiredis", "CRedcol"], path: "Tests/TestSupport",
            swiftSettings: strict, linkerSettings: hiredis),
        .testTarget(
            name: "RedisConnectionTests", dependencies: ["RedisConnection", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "StreamReadingTests",
            dependencies: ["StreamReading", "ArrowColumns", "RedisConnection", "TestSupport"],
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
            name: "Fuzz", dependencies: ["StreamReading", "TestSupport"], path: "Tests/Fuzz",
            swiftSettings: strict))
}
