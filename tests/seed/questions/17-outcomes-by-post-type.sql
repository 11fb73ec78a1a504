-- Q (en): What did the checkpoints find and decide, by type of post?
-- 问: 各类卡点查验结果:绿码、黄码、红码、无码,放行、采样后放行、劝返、发热留置、转隔离各多少?
SELECT post_type, checked_person_times AS checked, code_green_person_times AS green,
       code_yellow_person_times AS yellow, code_red_person_times AS red,
       code_none_person_times AS none, code_unchecked_person_times AS unchecked,
       passed_person_times AS passed, passed_after_sample_person_times AS after_sample,
       turned_back_person_times AS turned_back, held_fever_person_times AS fever,
       to_quarantine_person_times AS to_quarantine,
       checked_person_times - passed_person_times - passed_after_sample_person_times
           - turned_back_person_times - held_fever_person_times - to_quarantine_person_times
           AS unaccounted, complete
FROM checkpoint_city_daily_detail
WHERE day = '2022-02-10' AND region = '441500'
ORDER BY post_type;
