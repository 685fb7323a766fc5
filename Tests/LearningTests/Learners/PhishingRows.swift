/// The Website Phishing data (N. Abdelhamid, UCI Machine Learning Repository, CC BY 4.0), as River
/// 0.26.1 brings them: 1250 pages, each with nine features that are 0, ½ or 1 and whether it was
/// phishing.
///
/// `linear_scaled.py` reads the same rows in the same order.
struct PhishingRow {
  /// In River's order: empty server form handler, popup window, https, request from other domain,
  /// anchor from other domain, popular, long URL, age of domain, IP address in URL.
  var features: [Double]
  var label: Double

  static let all: [PhishingRow] = {
    let digits = packed.utf8.compactMap { byte -> Int? in
      switch byte {
      case 48...57: Int(byte) - 48
      case 97...122: Int(byte) - 87
      default: nil
      }
    }
    return stride(from: 0, to: digits.count, by: 3).map { i in
      var number = digits[i] * 1_296 + digits[i + 1] * 36 + digits[i + 2]
      let label = Double(number % 2)
      number /= 2
      var features: [Double] = []
      for _ in 0..<9 {
        features.append(Double(number % 3) / 2)
        number /= 3
      }
      return PhishingRow(features: features.reversed(), label: label)
    }
  }()

  /// Three digits of base 36 a row: nine of base 3, the first feature first, then one of base 2.
  private static let packed = """
    02zlsv2fd2cjm6uqtg3q117jqwulpdqci0sve454yjtjcaujmavcgvnyilncqbco301ecgtcooiq9u1u1sh0tbcpwcnnumrc
    s1cq5ugc100vot14ljtic620u5cqxg2c1auj2pdq9ctiy2ajlfdqwumavmfutjg33j1ljfb1ucyqwu16vfbn1yv261skcmjj
    uacqci5mv2z1sf03gjnkcqsy3fdtiuatj331tqiuau02d330pwg3ujqact9uqwuqwcap524vq7cubugeh25vucmooi3fvonu
    03jmad3dv175qtu16d3pjqc03h1q5u4k15rd0t1mwu031qy02h1pjvtjclevlru3bzcyjt1inju4l0tou9iunx0041q9cmyc
    qwc7c0px1bc1q8i1xvq7m3u1niu2avu9gau1mjjledand25d5l1181lgv5ndo40mrumfcmrgnjuq4umru3q1m9u2ahandqc0
    mvuqxcmeue75t9uaq1t9cq8mqxulgjttccyhpsumu0tk4lu1tjc2hj2pvq6ulsiq6urc0qwglfdqzilfjn0umcv2qnqfupwc
    e4vu9ugev4k166yq9c3evarvu5ce6160utq0mkccgv2phqz0qscqru03jqcimym2cio80mrugg1qvuqci2cvqxc2pjqz0qxu
    ard1l1mk1nq1mscpv4lq14ivubcqauq7iqd4nq0ot0tkuucme21qtu4z1mfvolc00d1ldmevldz1615q13fj3sh2h0tci2cj
    niuau10hjqbuqacqbcqxu2u0q8i2avtmu5ovtncuactmy2oduagmz05suq9uprcqy061c031nkupui4xjmcuubm3gjlgdaq1
    q7cngc3sdmsc9kyqwc161s80q5cq5u0gjllce7jtac0dvmeu01vqciq9ulacmv0q70q5cqvubwd2hdpz0pwc4lj4fvqxit5c
    myvpz4sjgnl0nkcq9grcie813shosjpycq5uqc4tbcqyc0av47jgsue813h1niglouqycqwcmgiqd0q5u01d66uuacp60czv
    q6cd31qbilecmevqbutruqvuq6i03d01jp3i3pjqecq4yqxumfulgh03vu8026u3fjqyu5oj62ct4uav5u9ylouqbumrc2aj
    lv162dq8md1hqfinjc161d1dmf0qfy4ljqvuqtctt0qvuqbiqxumwcledqwutl0qwctpcqbcq5c66upsunkcnwctkctlisju
    2ccnm0qxu4l13gv17vqecbaj3c1pziaqn17hqx06ngucud0vqxu3gjop0qrcoq01bdoeu3fvqfcqziqgiquiqxulu0lnu00v
    tm4e3jtiuq4yqauqruaud2u1nzcfavmru3c1t9ylov3fdqhigf129hm7jaq1qycrz0tpc00ve5dd0vcf1qxiq5cr3inqc3gj
    3tdq5uq9u1kd4jvmguqyc3fd5nh4jve8j18nmehqwu3dvfc1lfv6403rvqb0ltdqvuq5ctkuqey5wv3u166ie3dqhmq6i17j
    n3itiytmulicgfdq8cu9yqbut9upzum4uqbiq9u16jqz00evasjmucq5umuu021bvv33i3cjuaumrumtcltdnwcticqtulod
    e1jnpj4k1asjqxu65u4hcu9u2azbzd4kdp0gqb0lfcqyuq9c18dqrubxvtictiuud0mv0qwue81ml1arvq7c0gjlqcnjcpsc
    tiyqbcqxcpvy2pupyut9cuacq9c03j3h1nictiultjlfd17jqzuq8uq5ctjcqvu01jpvumkc1jjloct4uqsmonuqaiqy02ru
    0edleus3iu6u25c3hdq6uq5yqtcq4upxuqz0u9c2bdlmuqbuqzy02dq6c031q8y5o12ov14vmduuacu4y4sv29vbwd16dljj
    pkc1lj3h1qzctry9jcap5ofibz1q6uq4uqci1810hnml1qcm4yvmtuml1021qy0asv6pce81gehbwd2gi3h1qui5pjq9u181
    0bd29ve6j0educ03h1pz0qumq80021tk0pvutjis1c14vtnctjuauj29dnjunecqwcq80t9ubxjqyipwcq5uaqjq7mav117j
    2cvlec2aj02d4k14kntkuq80mdvaujnju8age8dldvooipkc2p516vqbu16v47jo2mnhilcjt9u2h1ubulgj181d31n60qxi
    03j4l1opigh1qwc29dqc0opi01vtm0lnc2lve2nmecpxulfvq9u3dv16vqaumscnm1oqmptd1knpxcqegqvu3o1nzcmjjpvu
    lu1qyiubuq9cndu16vmycticqau26d4fjtpi3fjlc12cdqt0e81pyj2ojmwuau1q5uqxcucibwdmfdqxi3f10gj0fv2pi021
    lduqwu2c103jptconc17jopj00v3tiaov6ngtm0lf14xv4l1pruqzutm00hnqwc1l13gjq5g3311eu3fdfcvqx03h1tkuu7c
    ptcqbutiuqggatdtkipu0ttcq5u0g1q6c5sc16dq702bd0cjpwc00dtiu1ldd1j5znqyctjcs2uq7cqzi2bdqzce7jqx4oq0
    qbiq5cprunpjnku3fjq5cbz1e4voq0qzipxyoq10c1p80qhm01ve6v1l1qyip5cqz08aunyiq4ytig3ed0c15udubc9g0q60
    q6y5uvq5y60u3ujardtnuqbc3c1njcnoilgj9iu17jtku3h1pwg3d127j3mv3tz031qac1uj7rusic2cve81q9gbz1e6vuc0
    1c14gjq5gpjv68c1ljd2dmru021q8cmeu1c15y516vnyc1314hjlgj4jvlg1qz0qfy60u0h1tp0lfjq5ce81at1pziq5gq6g
    fb1qvuqbu61u3h1qbc3edr40qwcqd017jtiuqbc0fv1ed65utjyqc0tu0uac2b1e4vu9y2giqsc0v54ivasd9lie813g12b1
    q5ctrumju33d2c165clnvnkuqaumrum0dqxi02j2f1qbcandq603h13o13u1q7025vqtutogpxitv0lnd16v03v4kdmsvpiu
    lfd0d1m5c1jv65g18dqd0qv4e6vqcimtc4xd1610edmwuud0r9un6d1l1q7caujarvs0u2zjqd03fjatd01vo7iuag00dqxu
    3tv4eutsg3q1nq0e31lud0cjtd0aovq6g0hdaoj3fvq5ukl0qbc0edtm003j021niu4yjm0uq5utry2bzqd0sjuqscq6u2c1
    tbcqycmjv0h1qbctrunjc16j4yj3f129dav52nd5svmzitau62ze75e5d02d3h1prc5o1021qfc02dmwcml103j0ezt9uqrg
    2avtpiqyc0eze0vpxuqbco3ilf13td29v6l0pwcqec18102nq7ce61gah2zjq9gqbcq70q5cmv0bz1tiuq5cu9clu12gj2nz
    16cqd02fd5od4l1mdz0fvqxibxvmgd2ailwuq9gqrg02va0ypuipwuu8iq9uqxitjuqac01vu9uqruqwc3f1e8jq80mai62c
    2bdq5ymdyqwgqb02ov161tbg3hnopcq5cqvu0gd2pdoqiq70ardq4utiu0phq5u3pjbzns2cmevqacs30nqu6nup4uldv181
    qacq6y0fv181tic2c1atdoncqzilh15pjcvvs1cnm0q7ge41o3id3116j631e3jqbu3pvqbc5qcs40fb1sicqwc00v62c3f1
    gavqx0
    """
}
