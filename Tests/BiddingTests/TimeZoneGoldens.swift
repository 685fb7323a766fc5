// Made by Benchmarks/Tools/TimeZones/generate.py, from what Python's zoneinfo tells.

enum TimeZoneGoldens {
  static let release = "2026f"
  static let days: Range<Int64> = 10959..<24836

  /// One name of each distinct zone; the digest of where its days begin, in seconds, of
  /// all that begin in these days of UTC; how many of them are not of 24 hours.
  static let zones = """
    Iceland 1d06a5f60860d30f 0
    Indian/Mayotte ee77896d63e8891f 0
    Africa/Algiers 7ad8c839667de5ff 0
    Africa/Porto-Novo 7ad8c839667de5ff 0
    Africa/Maputo db34fc8b58f50caf 0
    Egypt f50372c9179c4bbf 58
    Africa/El_Aaiun c511319336d17b9f 52
    Poland 75589dc27048891f 76
    Africa/Mbabane db34fc8b58f50caf 0
    Africa/Juba c860d42d7e7b84ff 2
    Africa/Khartoum 8a7313613e518d5f 2
    Africa/Sao_Tome 29c8e05d4911201f 2
    Libya ecd41705b6432a7f 2
    Africa/Tunis 31f44bc5a12cbe5f 8
    Africa/Windhoek c3d387651a349caf 36
    US/Aleutian 477c8a43461bae8f 76
    US/Alaska ae41ff5af049e97f 76
    America/Virgin fa0ff1fe458ffacf 0
    America/Araguaina 1651d6e55124cfdf 9
    America/Rosario 0cd40d97eea1ba5f 4
    America/Catamarca 8bea97b869609c3f 4
    America/Jujuy fd7c88b503e10a9f 2
    America/Mendoza 77916b769a2d910f 4
    America/Argentina/San_Juan ac24fdb8823a951f 4
    America/Argentina/San_Luis b8e5ab02911090af 8
    America/Argentina/Tucuman b9c57ab7180e5b8f 6
    America/Argentina/Ushuaia 76aeeb5d96c48bff 4
    America/Asuncion 4563829e8f75cfdf 50
    Jamaica c4001747f936ec1f 0
    America/Bahia 27456d43e6c571bf 9
    America/Bahia_Banderas 8f00bac2d26d261f 46
    Etc/GMT+3 a385033dd8016b3f 0
    Canada/Saskatchewan 39ef792d402983af 0
    America/Boa_Vista 97a74bfd4e9877ff 3
    Etc/GMT+5 c4001747f936ec1f 0
    US/Mountain b73f39cc7ef671df 76
    America/Cambridge_Bay 192a110c9db9222f 75
    America/Campo_Grande 2eafb4258340f8cf 39
    America/Cancun 8058b401cf19c75f 31
    America/Caracas 41cb1872c9e646af 2
    US/Central 55d4378fb671f14f 76
    America/Chihuahua 90f74d8b8c5c8cbf 45
    America/Ciudad_Juarez dc67c183735e76bf 76
    America/Coyhaique 6b4fe1b903366bbf 48
    US/Arizona a54aaef96efb2aff 0
    America/Cuiaba 3c58345b85d55f8f 37
    Canada/Yukon 2835b9211420cb2f 41
    US/Michigan 6344bccd25ea93bf 76
    Canada/Mountain a4703496eeeaf7ef 53
    Brazil/Acre dc72818b5f58e39f 2
    Mexico/BajaNorte 926e554491f81baf 76
    America/Fort_Nelson be124ae7f9c764bf 31
    US/East-Indiana e6f14ce318834b1f 64
    America/Maceio 0f61d8afacc5890f 5
    Canada/Atlantic 7d71d55aa131cf2f 76
    America/Nuuk d44cd976aebc47ef 75
    America/Goose_Bay 7d71d55aa131cf2f 76
    America/Grand_Turk ff00590fda667b0f 70
    America/Guatemala 9de5ba552efd561f 2
    Etc/GMT+4 fa0ff1fe458ffacf 0
    Cuba 5df8646275db507f 70
    US/Indiana-Starke ab0bc91e6acbea2f 63
    America/Indiana/Vincennes c842b7a077da5bef 62
    America/Indiana/Winamac 8bf828d91b0134cf 63
    America/Pangnirtung 42da924ee30337cf 75
    US/Pacific 28fc6e0a84fb396f 76
    America/Managua e08f1b30db5ec5cf 4
    America/Matamoros 0767c844a807895f 76
    Mexico/BajaSur a5de58433505399f 46
    Mexico/General 6149eb6b19078c4f 46
    America/Metlakatla 34e94f2eec8faccf 45
    America/Miquelon 62f6a2717cf4c71f 76
    America/Moncton 7d71d55aa131cf2f 76
    America/Montevideo f8b61c81df36082f 22
    Brazil/DeNoronha 2d743bee1b56458f 5
    America/North_Dakota/Beulah ba9570172e92918f 75
    America/North_Dakota/New_Salem ded97d5b5db847bf 75
    America/Ojinaga dcc6f2c4bf57067f 75
    America/Port-au-Prince bf513f0020a8631f 54
    Antarctica/Palmer 49bf48bdd2d47fef 32
    Canada/Central 0eda2557ce184c9f 53
    America/Rankin_Inlet 9adf5e70739b7e4f 74
    America/Recife 8b4b8e2fd3c4245f 5
    America/Resolute 1bd304191270459f 72
    America/Santarem 992aac3527d4f5bf 1
    Chile/Continental bc64048272db4dcf 74
    America/Santo_Domingo 1c3d93e3fa09299f 2
    Brazil/East 0e2db02427b644bf 39
    America/Scoresbysund d9f3c98216dba1cf 75
    Canada/Newfoundland ad2996ea097d63b7 76
    America/Tegucigalpa 5f6027a9af732e5f 2
    Canada/Pacific 93ea0e3fa382577f 53
    Antarctica/Casey 4ff03c55501eacdf 16
    Antarctica/Davis 293a163d5d30a6bf 4
    Pacific/Yap 193e5d07c728ee2f 0
    Antarctica/Macquarie e9aae785f469beff 74
    Antarctica/Mawson 85c50deab71be13f 1
    Pacific/Auckland f021502573aab4af 76
    Etc/GMT-3 ee77896d63e8891f 0
    Antarctica/Troll cc8bb6371481cc2f 66
    Antarctica/Vostok a8b276f81d26887f 1
    Asia/Almaty 64e71f5f137d9e5f 11
    Asia/Amman 48cece36102281ff 43
    Asia/Kamchatka 0a845a0af10cefff 22
    Asia/Oral 54ba6214deecdc1f 9
    Asia/Aqtobe 9680a4436686c82f 10
    Indian/Maldives 89e4b59374630e3f 0
    Asia/Baghdad 5f141ac155ecd4ff 16
    Asia/Baku 8f69645c5dee055f 32
    Indian/Christmas cfa69062e815d95f 0
    Asia/Barnaul 50fcb4a85cd2099f 25
    Asia/Beirut 7bf663589a7c1f8f 76
    Asia/Bishkek f97489493325fa3f 11
    Singapore 37401719a954f00f 0
    Asia/Kolkata 653d73d07694e287 0
    Asia/Chita f35b2572e08e563f 25
    Asia/Ulan_Bator 93e6956c6eed40ff 16
    ROC 37401719a954f00f 0
    Asia/Colombo 44a6f5be801987e7 1
    Asia/Dhaka f4133361d69ff89f 2
    Asia/Damascus d4e81a213d66d54f 45
    Asia/Dili e7d2b7a046d6cabf 1
    Indian/Reunion c4a7c7d98a7f75cf 0
    Asia/Famagusta a4d4e34eebae9b1f 74
    Asia/Gaza 4fe452fe79c1b57f 76
    Asia/Hebron 4939b89de050353f 78
    Hongkong 37401719a954f00f 0
    Asia/Hovd 39045e2b2841808f 16
    Asia/Irkutsk c383cf8608f1b64f 24
    Turkey 9381324e3721856f 33
    Asia/Pontianak cfa69062e815d95f 0
    Asia/Jayapura 544f9a63cbd6c87f 0
    Israel 6c7cd47b4497a02f 76
    Asia/Kabul 785e9318f1dab4d7 0
    Asia/Karachi d1100049965fd15f 6
    Indian/Chagos b7dc848470b47eef 0
    Asia/Katmandu 92b82313c5727f13 0
    Asia/Khandyga 0941e14acaa0dfcf 26
    Asia/Krasnoyarsk 936654ba01e0bddf 24
    Asia/Magadan 8754b4a5d0aae39f 25
    Asia/Ujung_Pandang 37401719a954f00f 0
    Asia/Manila 37401719a954f00f 0
    Europe/Zaporozhye ec822d525c70ee8f 76
    Asia/Novokuznetsk 81076ab133a0bf8f 22
    Asia/Novosibirsk c6311e5b60363d2f 25
    Asia/Omsk 920d6ea6085bd2af 24
    Asia/Pyongyang 09d1ddb0c3c1c7df 2
    Asia/Qostanay 561f88eea7012f8f 10
    Asia/Qyzylorda 5f3c2fb44629d25f 10
    Indian/Cocos 9126dae1b8eadbf7 0
    Asia/Sakhalin 4fe3fb3dd7c7aedf 25
    ROK 544f9a63cbd6c87f 0
    Asia/Srednekolymsk 82cd63263913f81f 24
    Asia/Tbilisi 4ea9d88f3c4ac7df 12
    Iran c294fa1bfbcfebf7 42
    Japan 544f9a63cbd6c87f 0
    Asia/Tomsk bba81787333c2f5f 26
    Asia/Ust-Nera 785e0c7cbb9e0f6f 25
    Asia/Vladivostok 7ec654351804a7ef 24
    Asia/Yakutsk 61197ea1c54119ff 24
    Asia/Yekaterinburg 3cccdf0104572abf 24
    Asia/Yerevan 9f9a61c73706a7cf 24
    Atlantic/Azores 675e66ebe5ef673f 76
    WET 9e8a46e6bd07842f 76
    Etc/GMT+1 d8417a096ff2965f 0
    Etc/GMT+2 7486d3287e4bc5ef 0
    Atlantic/Stanley 1a05d9f4a43e654f 22
    Australia/Victoria 0f4c15df9a99401f 76
    Australia/Yancowinna 07fd9e05c25f7b87 76
    Australia/Queensland 193e5d07c728ee2f 0
    Australia/Tasmania 7d10c45e8246d9ff 76
    Australia/North a176b3c751d51bc7 0
    Australia/Eucla 0a7c7949a8f11e43 6
    Australia/Lord_Howe facf0aec7c316daf 76
    Australia/West 11eccd504dcf8acf 6
    Pacific/Easter f34d4f516eb207bf 74
    Europe/Dublin 9e8a46e6bd07842f 76
    Pacific/Tahiti 1a7a7324bb09f26f 0
    Pacific/Niue fdd9bb76ee717abf 0
    Etc/GMT+12 f563c82e07bbf44f 0
    Pacific/Galapagos 39ef792d402983af 0
    Etc/GMT+7 a54aaef96efb2aff 0
    Pacific/Pitcairn 730c83dce78c348f 0
    Pacific/Gambier 93f3912f222e98df 0
    Etc/GMT-1 7ad8c839667de5ff 0
    Pacific/Ponape 788e7fb4cbea329f 0
    Pacific/Wallis f563c82e07bbf44f 0
    Pacific/Kanton fdd9bb76ee717abf 0
    Pacific/Kiritimati 1a7a7324bb09f26f 0
    Etc/GMT-2 db34fc8b58f50caf 0
    Pacific/Palau 544f9a63cbd6c87f 0
    Zulu 1d06a5f60860d30f 0
    Europe/Ulyanovsk 46939ba27940b24f 25
    GB-Eire 9e8a46e6bd07842f 76
    Europe/Sofia ec822d525c70ee8f 76
    Europe/Tiraspol ec822d525c70ee8f 76
    Europe/Kaliningrad 19f96082c2d0c16f 24
    W-SU ab25859c90f3629f 24
    Europe/Minsk b65e24fcaef77c1f 23
    Europe/Riga c906895bdca58adf 74
    Europe/Samara 35420c4dcb57ff7f 22
    Europe/Saratov 8d7e76a746d65ecf 25
    Europe/Simferopol ce23f4de8197518f 30
    Europe/Tallinn e0d46f2dfe8ca9ef 72
    Europe/Vilnius 7c40f4fdd911c46f 70
    Europe/Volgograd 78bbf5817fd99a2f 26
    Factory 1d06a5f60860d30f 0
    US/Hawaii 1a7a7324bb09f26f 0
    Indian/Mauritius 25bc194b7f9fcb2f 2
    Pacific/Chatham 6c18a659d48a36e3 76
    Pacific/Apia 9a200474f4ba521f 22
    Pacific/Bougainville 3ee3e3b4c7bb894f 1
    Pacific/Fakaofo fdd9bb76ee717abf 0
    Pacific/Fiji 923d475d602ad4cf 25
    Pacific/Saipan 193e5d07c728ee2f 0
    Pacific/Marquesas 075ced45aebf5177 0
    US/Samoa fdd9bb76ee717abf 0
    Pacific/Norfolk 74d597298c8367f7 38
    Pacific/Tongatapu 5bd53e95dfed317f 7
    """

  static let names = """
    Africa/Abidjan Africa/Accra Africa/Addis_Ababa Africa/Algiers Africa/Asmara Africa/Asmera
    Africa/Bamako Africa/Bangui Africa/Banjul Africa/Bissau Africa/Blantyre Africa/Brazzaville
    Africa/Bujumbura Africa/Cairo Africa/Casablanca Africa/Ceuta Africa/Conakry Africa/Dakar
    Africa/Dar_es_Salaam Africa/Djibouti Africa/Douala Africa/El_Aaiun Africa/Freetown
    Africa/Gaborone Africa/Harare Africa/Johannesburg Africa/Juba Africa/Kampala Africa/Khartoum
    Africa/Kigali Africa/Kinshasa Africa/Lagos Africa/Libreville Africa/Lome Africa/Luanda
    Africa/Lubumbashi Africa/Lusaka Africa/Malabo Africa/Maputo Africa/Maseru Africa/Mbabane
    Africa/Mogadishu Africa/Monrovia Africa/Nairobi Africa/Ndjamena Africa/Niamey Africa/Nouakchott
    Africa/Ouagadougou Africa/Porto-Novo Africa/Sao_Tome Africa/Timbuktu Africa/Tripoli
    Africa/Tunis Africa/Windhoek America/Adak America/Anchorage America/Anguilla America/Antigua
    America/Araguaina America/Argentina/Buenos_Aires America/Argentina/Catamarca
    America/Argentina/ComodRivadavia America/Argentina/Cordoba America/Argentina/Jujuy
    America/Argentina/La_Rioja America/Argentina/Mendoza America/Argentina/Rio_Gallegos
    America/Argentina/Salta America/Argentina/San_Juan America/Argentina/San_Luis
    America/Argentina/Tucuman America/Argentina/Ushuaia America/Aruba America/Asuncion
    America/Atikokan America/Atka America/Bahia America/Bahia_Banderas America/Barbados
    America/Belem America/Belize America/Blanc-Sablon America/Boa_Vista America/Bogota
    America/Boise America/Buenos_Aires America/Cambridge_Bay America/Campo_Grande America/Cancun
    America/Caracas America/Catamarca America/Cayenne America/Cayman America/Chicago
    America/Chihuahua America/Ciudad_Juarez America/Coral_Harbour America/Cordoba
    America/Costa_Rica America/Coyhaique America/Creston America/Cuiaba America/Curacao
    America/Danmarkshavn America/Dawson America/Dawson_Creek America/Denver America/Detroit
    America/Dominica America/Edmonton America/Eirunepe America/El_Salvador America/Ensenada
    America/Fort_Nelson America/Fort_Wayne America/Fortaleza America/Glace_Bay America/Godthab
    America/Goose_Bay America/Grand_Turk America/Grenada America/Guadeloupe America/Guatemala
    America/Guayaquil America/Guyana America/Halifax America/Havana America/Hermosillo
    America/Indiana/Indianapolis America/Indiana/Knox America/Indiana/Marengo
    America/Indiana/Petersburg America/Indiana/Tell_City America/Indiana/Vevay
    America/Indiana/Vincennes America/Indiana/Winamac America/Indianapolis America/Inuvik
    America/Iqaluit America/Jamaica America/Jujuy America/Juneau America/Kentucky/Louisville
    America/Kentucky/Monticello America/Knox_IN America/Kralendijk America/La_Paz America/Lima
    America/Los_Angeles America/Louisville America/Lower_Princes America/Maceio America/Managua
    America/Manaus America/Marigot America/Martinique America/Matamoros America/Mazatlan
    America/Mendoza America/Menominee America/Merida America/Metlakatla America/Mexico_City
    America/Miquelon America/Moncton America/Monterrey America/Montevideo America/Montreal
    America/Montserrat America/Nassau America/New_York America/Nipigon America/Nome America/Noronha
    America/North_Dakota/Beulah America/North_Dakota/Center America/North_Dakota/New_Salem
    America/Nuuk America/Ojinaga America/Panama America/Pangnirtung America/Paramaribo
    America/Phoenix America/Port-au-Prince America/Port_of_Spain America/Porto_Acre
    America/Porto_Velho America/Puerto_Rico America/Punta_Arenas America/Rainy_River
    America/Rankin_Inlet America/Recife America/Regina America/Resolute America/Rio_Branco
    America/Rosario America/Santa_Isabel America/Santarem America/Santiago America/Santo_Domingo
    America/Sao_Paulo America/Scoresbysund America/Shiprock America/Sitka America/St_Barthelemy
    America/St_Johns America/St_Kitts America/St_Lucia America/St_Thomas America/St_Vincent
    America/Swift_Current America/Tegucigalpa America/Thule America/Thunder_Bay America/Tijuana
    America/Toronto America/Tortola America/Vancouver America/Virgin America/Whitehorse
    America/Winnipeg America/Yakutat America/Yellowknife Antarctica/Casey Antarctica/Davis
    Antarctica/DumontDUrville Antarctica/Macquarie Antarctica/Mawson Antarctica/McMurdo
    Antarctica/Palmer Antarctica/Rothera Antarctica/South_Pole Antarctica/Syowa Antarctica/Troll
    Antarctica/Vostok Arctic/Longyearbyen Asia/Aden Asia/Almaty Asia/Amman Asia/Anadyr Asia/Aqtau
    Asia/Aqtobe Asia/Ashgabat Asia/Ashkhabad Asia/Atyrau Asia/Baghdad Asia/Bahrain Asia/Baku
    Asia/Bangkok Asia/Barnaul Asia/Beirut Asia/Bishkek Asia/Brunei Asia/Calcutta Asia/Chita
    Asia/Choibalsan Asia/Chongqing Asia/Chungking Asia/Colombo Asia/Dacca Asia/Damascus Asia/Dhaka
    Asia/Dili Asia/Dubai Asia/Dushanbe Asia/Famagusta Asia/Gaza Asia/Harbin Asia/Hebron
    Asia/Ho_Chi_Minh Asia/Hong_Kong Asia/Hovd Asia/Irkutsk Asia/Istanbul Asia/Jakarta Asia/Jayapura
    Asia/Jerusalem Asia/Kabul Asia/Kamchatka Asia/Karachi Asia/Kashgar Asia/Kathmandu Asia/Katmandu
    Asia/Khandyga Asia/Kolkata Asia/Krasnoyarsk Asia/Kuala_Lumpur Asia/Kuching Asia/Kuwait
    Asia/Macao Asia/Macau Asia/Magadan Asia/Makassar Asia/Manila Asia/Muscat Asia/Nicosia
    Asia/Novokuznetsk Asia/Novosibirsk Asia/Omsk Asia/Oral Asia/Phnom_Penh Asia/Pontianak
    Asia/Pyongyang Asia/Qatar Asia/Qostanay Asia/Qyzylorda Asia/Rangoon Asia/Riyadh Asia/Saigon
    Asia/Sakhalin Asia/Samarkand Asia/Seoul Asia/Shanghai Asia/Singapore Asia/Srednekolymsk
    Asia/Taipei Asia/Tashkent Asia/Tbilisi Asia/Tehran Asia/Tel_Aviv Asia/Thimbu Asia/Thimphu
    Asia/Tokyo Asia/Tomsk Asia/Ujung_Pandang Asia/Ulaanbaatar Asia/Ulan_Bator Asia/Urumqi
    Asia/Ust-Nera Asia/Vientiane Asia/Vladivostok Asia/Yakutsk Asia/Yangon Asia/Yekaterinburg
    Asia/Yerevan Atlantic/Azores Atlantic/Bermuda Atlantic/Canary Atlantic/Cape_Verde
    Atlantic/Faeroe Atlantic/Faroe Atlantic/Jan_Mayen Atlantic/Madeira Atlantic/Reykjavik
    Atlantic/South_Georgia Atlantic/St_Helena Atlantic/Stanley Australia/ACT Australia/Adelaide
    Australia/Brisbane Australia/Broken_Hill Australia/Canberra Australia/Currie Australia/Darwin
    Australia/Eucla Australia/Hobart Australia/LHI Australia/Lindeman Australia/Lord_Howe
    Australia/Melbourne Australia/NSW Australia/North Australia/Perth Australia/Queensland
    Australia/South Australia/Sydney Australia/Tasmania Australia/Victoria Australia/West
    Australia/Yancowinna Brazil/Acre Brazil/DeNoronha Brazil/East Brazil/West CET CST6CDT
    Canada/Atlantic Canada/Central Canada/Eastern Canada/Mountain Canada/Newfoundland
    Canada/Pacific Canada/Saskatchewan Canada/Yukon Chile/Continental Chile/EasterIsland Cuba EET
    EST EST5EDT Egypt Eire Etc/GMT Etc/GMT+0 Etc/GMT+1 Etc/GMT+10 Etc/GMT+11 Etc/GMT+12 Etc/GMT+2
    Etc/GMT+3 Etc/GMT+4 Etc/GMT+5 Etc/GMT+6 Etc/GMT+7 Etc/GMT+8 Etc/GMT+9 Etc/GMT-0 Etc/GMT-1
    Etc/GMT-10 Etc/GMT-11 Etc/GMT-12 Etc/GMT-13 Etc/GMT-14 Etc/GMT-2 Etc/GMT-3 Etc/GMT-4 Etc/GMT-5
    Etc/GMT-6 Etc/GMT-7 Etc/GMT-8 Etc/GMT-9 Etc/GMT0 Etc/Greenwich Etc/UCT Etc/UTC Etc/Universal
    Etc/Zulu Europe/Amsterdam Europe/Andorra Europe/Astrakhan Europe/Athens Europe/Belfast
    Europe/Belgrade Europe/Berlin Europe/Bratislava Europe/Brussels Europe/Bucharest
    Europe/Budapest Europe/Busingen Europe/Chisinau Europe/Copenhagen Europe/Dublin
    Europe/Gibraltar Europe/Guernsey Europe/Helsinki Europe/Isle_of_Man Europe/Istanbul
    Europe/Jersey Europe/Kaliningrad Europe/Kiev Europe/Kirov Europe/Kyiv Europe/Lisbon
    Europe/Ljubljana Europe/London Europe/Luxembourg Europe/Madrid Europe/Malta Europe/Mariehamn
    Europe/Minsk Europe/Monaco Europe/Moscow Europe/Nicosia Europe/Oslo Europe/Paris
    Europe/Podgorica Europe/Prague Europe/Riga Europe/Rome Europe/Samara Europe/San_Marino
    Europe/Sarajevo Europe/Saratov Europe/Simferopol Europe/Skopje Europe/Sofia Europe/Stockholm
    Europe/Tallinn Europe/Tirane Europe/Tiraspol Europe/Ulyanovsk Europe/Uzhgorod Europe/Vaduz
    Europe/Vatican Europe/Vienna Europe/Vilnius Europe/Volgograd Europe/Warsaw Europe/Zagreb
    Europe/Zaporozhye Europe/Zurich Factory GB GB-Eire GMT GMT+0 GMT-0 GMT0 Greenwich HST Hongkong
    Iceland Indian/Antananarivo Indian/Chagos Indian/Christmas Indian/Cocos Indian/Comoro
    Indian/Kerguelen Indian/Mahe Indian/Maldives Indian/Mauritius Indian/Mayotte Indian/Reunion
    Iran Israel Jamaica Japan Kwajalein Libya MET MST MST7MDT Mexico/BajaNorte Mexico/BajaSur
    Mexico/General NZ NZ-CHAT Navajo PRC PST8PDT Pacific/Apia Pacific/Auckland Pacific/Bougainville
    Pacific/Chatham Pacific/Chuuk Pacific/Easter Pacific/Efate Pacific/Enderbury Pacific/Fakaofo
    Pacific/Fiji Pacific/Funafuti Pacific/Galapagos Pacific/Gambier Pacific/Guadalcanal
    Pacific/Guam Pacific/Honolulu Pacific/Johnston Pacific/Kanton Pacific/Kiritimati Pacific/Kosrae
    Pacific/Kwajalein Pacific/Majuro Pacific/Marquesas Pacific/Midway Pacific/Nauru Pacific/Niue
    Pacific/Norfolk Pacific/Noumea Pacific/Pago_Pago Pacific/Palau Pacific/Pitcairn Pacific/Pohnpei
    Pacific/Ponape Pacific/Port_Moresby Pacific/Rarotonga Pacific/Saipan Pacific/Samoa
    Pacific/Tahiti Pacific/Tarawa Pacific/Tongatapu Pacific/Truk Pacific/Wake Pacific/Wallis
    Pacific/Yap Poland Portugal ROC ROK Singapore Turkey UCT US/Alaska US/Aleutian US/Arizona
    US/Central US/East-Indiana US/Eastern US/Hawaii US/Indiana-Starke US/Michigan US/Mountain
    US/Pacific US/Samoa UTC Universal W-SU WET Zulu
    """.split(whereSeparator: \.isWhitespace).map(String.init)
}
