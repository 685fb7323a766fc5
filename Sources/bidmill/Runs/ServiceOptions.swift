import ArgumentParser
import LocalLog
import Service
import Streaming

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Where a run answers over HTTP, and who may ask.
struct ServiceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Where to answer over HTTP: health, metrics, questions, events (default: $BIDMILL_HTTP, or \
      \(ServiceAddress.standard)). `off`: nowhere. An address that other machines reach needs a \
      token.
      """,
      valueName: "host:port"))
  var http: HTTPArgument?

  @Option(
    help: ArgumentHelp(
      "A file with the token that whoever asks must show (default: $BIDMILL_TOKEN).",
      valueName: "file"))
  var tokenFile: String?

  /// nil: no service.
  func configuration(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> ServiceConfiguration? {
    guard case .at(let address) = try http ?? ServiceOptions.preset(environment) else { return nil }
    var configuration = try ServiceConfiguration(address: address, token: token(environment))
    configuration.version = Bidmill.version
    return configuration
  }

  private static func preset(_ environment: [String: String]) throws -> HTTPArgument {
    let text = environment["BIDMILL_HTTP"] ?? ""
    guard !text.isEmpty else { return .at(.standard) }
    guard let preset = HTTPArgument(argument: text) else {
      throw Failure(
        .configuration, "error: BIDMILL_HTTP is `\(text)`; write HOST:PORT, or `off`")
    }
    return preset
  }

  private func token(_ environment: [String: String]) throws -> BearerToken? {
    var text = environment["BIDMILL_TOKEN"] ?? ""
    var place = "BIDMILL_TOKEN"
    if let tokenFile {
      guard let bytes = FileManager.default.contents(atPath: tokenFile) else {
        throw Failure(.missing, "error: the token's file \(tokenFile) cannot be read")
      }
      text = String(decoding: bytes, as: UTF8.self)
      place = tokenFile
    } else if text.isEmpty {
      return nil
    }
    guard let token = BearerToken(text) else {
      throw Failure(
        .configuration,
        "error: the token in \(place) is none: at least \(BearerToken.bytesMin) letters, digits or "
          + "signs of ASCII, without blanks; for example what `openssl rand -hex 32` prints")
    }
    return token
  }
}

enum HTTPArgument: ExpressibleByArgument, Equatable {
  case off
  case at(ServiceAddress)

  init?(argument: String) {
    if argument == "off" {
      self = .off
    } else if let address = ServiceAddress(argument) {
      self = .at(address)
    } else {
      return nil
    }
  }
}
